"""The peer of chapter 7 on a GPU: continuous batching of Hugging Face transformers, on the same weights and requests.

    python3 bench/gpu/transformers_batching.py --program build/gpu/bench/gpu/bench_gpu --model models/stories --json FILE

--model llama-3.2-1b makes random weights of that shape and writes them to a folder that both sides load. All requests
are there at once, with prompts of random tokens; each has a length of its own, geometric, and nobody stops before it.
The engine is the one behind generate_batch; requests are added one by one because that function has one length for all.
Where torch, transformers or a GPU is missing, one sentence says so, with exit code 2.
"""

import argparse
import json
import math
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from transformers_decode import SHAPE, TINY, make_model, summary

ROOT = Path(__file__).resolve().parents[2]


def make_requests(count, vocab_size, prompt_mean, output_mean, longest, seed=1):
    """As chapter 7's load generator: 1 + floor(Exp(mean - 1/2)), at most so many."""
    draws = random.Random(seed)

    def length(mean):
        return min(longest, 1 + math.floor(-(mean - 0.5) * math.log1p(-draws.random())))

    requests = []
    for i in range(count):
        prompt = [draws.randrange(vocab_size) for _ in range(length(prompt_mean))]
        requests.append({"id": f"r{i}", "prompt_token_ids": prompt, "max_tokens": length(output_mean), "ignore_eos": True})
    return requests


def write_random_model(torch, transformers, folder, shape):
    model = make_model(torch, transformers, shape, "cuda")
    model.save_pretrained(folder)
    shutil.copy(ROOT / "models/stories/tokenizer.json", folder)  # ids are given, but a loader wants one


def serve_ours(program, folder, requests, quick):
    with tempfile.TemporaryDirectory() as scratch:
        lines, out = Path(scratch, "requests.jsonl"), Path(scratch, "out.json")
        lines.write_text("".join(json.dumps(request) + "\n" for request in requests))
        command = [program, "--part", "requests", "--model", str(folder), "--requests", str(lines), "--json", str(out)]
        subprocess.run(command + ["--quick"] * quick, check=True)
        return json.loads(out.read_text())["requests"][0]


def serve_theirs(torch, transformers, folder, requests, runs):
    """(tokens per second of each run, token ids by request of the last, the attention that was used)"""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="sdpa")
    model = model.to("cuda").eval()
    config = transformers.GenerationConfig(do_sample=False, max_new_tokens=16, eos_token_id=-1, pad_token_id=0)
    num_tokens = sum(request["max_tokens"] for request in requests)
    rates, texts = [], {}
    with model.continuous_batching_context_manager(generation_config=config) as manager:
        for _ in range(runs + 1):
            begin = time.perf_counter()
            for request in requests:
                manager.add_request(
                    input_ids=request["prompt_token_ids"], request_id=request["id"], max_new_tokens=request["max_tokens"]
                )
            texts = {}
            while len(texts) < len(requests):
                result = manager.get_result(timeout=60)
                if result is None:
                    raise RuntimeError("transformers has given no result for a minute")
                texts[result.request_id] = list(result.generated_tokens)
            rates.append(num_tokens / (time.perf_counter() - begin))
    return rates[1:], texts, model.config._attn_implementation  # the first run warms up


def main():
    parser = argparse.ArgumentParser(description="Continuous batching of transformers on the GPU, beside chapter 7's.")
    parser.add_argument("--program", required=True, help="bench_gpu")
    parser.add_argument("--model", required=True, help="a folder, or llama-3.2-1b for random weights of that shape")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="few and short requests: only whether everything runs")
    arguments = parser.parse_args()
    try:
        import torch
        import transformers
    except ImportError as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 2
    if not torch.cuda.is_available():
        print("not measured: torch sees no GPU", file=sys.stderr)
        return 2

    with tempfile.TemporaryDirectory() as scratch:
        folder, name = ROOT / arguments.model, arguments.model
        if arguments.model == "llama-3.2-1b":
            folder, name = Path(scratch), "random weights, llama-3.2-1b"
            write_random_model(torch, transformers, folder, TINY if arguments.quick else SHAPE)
        config = json.loads((folder / "config.json").read_text())
        context = config["max_position_embeddings"]
        count = 4 if arguments.quick else 64 if arguments.model != "llama-3.2-1b" else 32
        requests = make_requests(count, config["vocab_size"], min(128, context / 8), min(128, context / 4), context // 3)
        theirs, their_texts, attention = serve_theirs(torch, transformers, folder, requests, 3 if count == 64 else 2)
        torch.cuda.empty_cache()
        ours = serve_ours(arguments.program, folder, requests, arguments.quick)
    same = sum(their_texts[request["id"]] == ours["token_ids"][request["id"]] for request in requests)
    row = {
        "model": name,
        "dtype": "bf16",
        "requests": count,
        "tokens": sum(request["max_tokens"] for request in requests),
        "same_texts": same,
        "attention": attention,
        "ours": ours["tokens_per_second"],
        "theirs": summary(theirs),
    }
    results = {"transformers_batching": [row], "torch": torch.__version__, "transformers": transformers.__version__}
    arguments.json.write_text(json.dumps(results) + "\n")
    print(json.dumps(row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
