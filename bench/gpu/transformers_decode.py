"""The peer of chapter 2's decode on a GPU: Hugging Face transformers with a static cache and a compiled step.

    python3 bench/gpu/transformers_decode.py --json FILE

Random weights in the shape of llama-3.2-1b, bf16, one sequence. Every token is read back before the next one is fed, as
in chapter 2. Where torch, transformers or a GPU is missing, one sentence says so, with exit code 2.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median

# Of random:llama-3.2-1b: common/model/random_weights.cpp.
SHAPE = {
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": True,
}
ROPE = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192}  # fmt: skip
TINY = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 128, "max_position_embeddings": 16384}  # fmt: skip
WARM_TOKENS = 8  # compiling, and recording the graph


def summary(values):
    return {"median": median(values), "min": min(values), "max": max(values), "repetitions": len(values)}


def make_model(torch, transformers, shape, device):
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape, rope_parameters=ROPE)).eval()
    torch.set_default_dtype(torch.float32)
    return model


def some_tokens(torch, model, count):
    ids = [(7919 * i + 13) % model.config.vocab_size for i in range(count)]
    return torch.tensor([ids], device=model.device)


def decode(torch, transformers, model, prompt_len, steps, runs):
    """(milliseconds of each step of each run, whether compiled and plain steps choose the same first tokens)"""
    device = model.device
    prompt = some_tokens(torch, model, prompt_len)

    def step(token, position, cache):
        logits = model(input_ids=token, position_ids=position, past_key_values=cache, use_cache=True).logits
        return logits[:, -1].argmax(-1, keepdim=True)

    compiled = torch.compile(step, mode="reduce-overhead")
    # One cache for all runs: its addresses are part of the compiled step.
    cache = transformers.StaticCache(config=model.config, max_cache_len=prompt_len + WARM_TOKENS + steps)

    def run(decode_step, count):
        cache.reset()
        token = step(prompt, torch.arange(prompt_len, device=device)[None], cache)
        position = torch.tensor([[prompt_len]], device=device)
        ids, ms = [], []
        for _ in range(count):
            begin = time.perf_counter()
            torch.compiler.cudagraph_mark_step_begin()
            token = decode_step(token, position, cache).clone()
            position = position + 1
            ids.append(token.item())
            ms.append(1000 * (time.perf_counter() - begin))
        return ids, ms

    plain_ids, _ = run(step, WARM_TOKENS)
    compiled_ids, _ = run(compiled, WARM_TOKENS)
    return [run(compiled, WARM_TOKENS + steps)[1][WARM_TOKENS:] for _ in range(runs)], compiled_ids == plain_ids


def main():
    parser = argparse.ArgumentParser(description="Decode speed of transformers on the GPU.")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu: only whether everything runs")
    parser.add_argument("--quick", action="store_true", help="a tiny model: only whether everything runs")
    arguments = parser.parse_args()
    try:
        import torch
        import transformers
    except ImportError as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 2
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("not measured: torch sees no GPU", file=sys.stderr)
        return 2

    model = make_model(torch, transformers, TINY if arguments.quick else SHAPE, arguments.device)
    context_len, steps, runs = (16, 4, 2) if arguments.quick else (512, 64, 5)
    with torch.no_grad():
        all_ms, same_tokens = decode(torch, transformers, model, context_len, steps, runs)
    row = {
        "model": "tiny" if arguments.quick else "random:llama-3.2-1b",
        "dtype": "bf16",
        "context_len": context_len,
        "steps": steps,
        "how": "static cache, torch.compile, mode reduce-overhead",
        "same_tokens_as_uncompiled": same_tokens,
        "tokens_per_second": summary([1000 * len(ms) / sum(ms) for ms in all_ms]),
        "step_ms": summary([x for ms in all_ms for x in ms]),
    }
    results = {"transformers_decode": [row], "torch": torch.__version__, "transformers": transformers.__version__}
    arguments.json.write_text(json.dumps(results) + "\n")
    print(json.dumps(row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
