#!/usr/bin/env python3
"""tests/fuzz/seeds.py FOLDER: what libFuzzer starts from, made small from this repository's own files.

FOLDER/TARGET/ gets the inputs, FOLDER/TARGET.dict the words that stand in the sources under test.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "tests/reference"

SOURCES = {
    "config": ["common/model/config.cpp"],
    "requests": ["chapters/07_continuous_batching/request_file.cpp"],
    "safetensors": ["common/model/safetensors.cpp"],
    "tokenizer_file": sorted(path.relative_to(ROOT) for path in (ROOT / "common/tokenizer").glob("*.cpp")),
    "tokenizer_text": ["common/tokenizer/decoder.cpp"],
}


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def configs():
    for path in sorted(REFERENCE.glob("models/*/config.json")) + sorted(ROOT.glob("models/*/config.json")):
        generation = path.parent / "generation_config.json"
        rest = b"\0" + generation.read_bytes() if generation.exists() else b""
        yield path.read_bytes() + rest


def safetensors(header, data):
    text = compact(header)
    return len(text).to_bytes(8, "little") + text + data


def weights():
    def entry(dtype, shape, begin, end):
        return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}

    yield safetensors({"x": entry("F32", [1, 2], 0, 8)}, bytes(8))
    yield safetensors(
        {"__metadata__": {"format": "pt"}, "a": entry("BF16", [3], 4, 10), "b": entry("F16", [2, 1], 0, 4)}, bytes(10)
    )
    yield safetensors({"none": entry("I64", [0, 5], 0, 0), "one": entry("U8", [], 0, 1)}, bytes(1))
    yield safetensors({"packed": entry("F4", [2, 3], 0, 3), "new": entry("F9", [7], 3, 5)}, bytes(5))
    yield compact({"metadata": {"total_size": 14}, "weight_map": {"x": "a.safetensors", "y": "b.safetensors"}})


def few_tokens(tokenizer):
    """The tokenizer with the merges of a few words, so that the file is short."""
    model = tokenizer["model"]
    merges = [pair if isinstance(pair, list) else pair.split(" ") for pair in model["merges"][:12]]
    words = {word for pair in merges for word in pair + ["".join(pair)]} | {"<unk>", "a", "e", "▁", "Ġ", "<0x0A>", "<0xC3>"}
    model["vocab"] = {token: id for token, id in model["vocab"].items() if token in words}
    model["merges"] = merges
    tokenizer["added_tokens"] = tokenizer["added_tokens"][:3] + tokenizer["added_tokens"][-2:]
    return tokenizer


def tokenizer_files():
    for path in sorted(REFERENCE.glob("tokenizer/*/tokenizer.json")) + [ROOT / "models/stories/tokenizer.json"]:
        yield compact(few_tokens(json.loads(path.read_text())))
    # Every step of which the references have an example, on a model of a few letters.
    names = {"normalizers": "normalizer", "pre_tokenizers": "pre_tokenizer", "decoders": "decoder"}
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "▁": 2, "ab": 3, "Ġ": 4}, "merges": ["a b"], "byte_fallback": True}
    for part in json.loads((REFERENCE / "tokenizer/parts.json").read_text()):
        if part["part"] in names:
            yield compact({"model": model, names[part["part"]]: part["step"]})


def texts():
    for index, text in enumerate(json.loads((REFERENCE / "tokenizer/texts.json").read_text())):
        yield bytes([index % 256]) + bytes.fromhex(text["hex"])[:400]


def requests():
    every_field = {
        "id": "a", "arrival_step": 3, "prompt": "Once upon a time", "max_tokens": 7, "temperature": 0.5, "top_k": 4,
        "top_p": 0.75, "seed": 11, "priority": -2, "stop": ["x", "yz"], "stop_token_ids": [8], "ignore_eos": True,
        "salt": "s", "cancel_step": 3, "breakpoints": [1, 2],
    }  # fmt: skip
    yield compact(every_field)
    yield compact({"id": "b", "prompt_token_ids": [5, 47], "stop": "once"}) + b"\r\n\n" + compact({"id": "c", "prompt": "c"})


INPUTS = {
    "config": configs,
    "requests": requests,
    "safetensors": weights,
    "tokenizer_file": tokenizer_files,
    "tokenizer_text": texts,
}


def main():
    folder = Path(sys.argv[1])
    for target, inputs in INPUTS.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(inputs()):
            (folder / target / f"seed-{number:02}").write_bytes(data)
        sources = "".join((ROOT / source).read_text() for source in SOURCES[target])
        words = sorted(set(re.findall(r'"([A-Za-z0-9_<>|. ]{2,40})"', sources)))
        (folder / f"{target}.dict").write_text("".join(f'"{word}"\n' for word in words))


if __name__ == "__main__":
    main()
