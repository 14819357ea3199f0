"""The peers of chapter 4's flash attention on a GPU: PyTorch's scaled_dot_product_attention by FlashAttention-2 and by
cuDNN.

    python3 bench/gpu/torch_attention.py --json FILE

The shapes of bench/gpu/flash_bench.cpp, bf16. Where torch or a GPU is missing, one sentence says so, with exit code 2.
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import median

TOKENS, WIDTH = 16384, 2048


def time_us(torch, work, runs):
    """Microseconds a call: the median of several, by the GPU's own clock."""
    for _ in range(3):
        work()
    times = []
    for _ in range(runs):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        times.append(1000 * begin.elapsed_time(end))
    return {"median": median(times), "min": min(times), "max": max(times), "repetitions": runs}


def main():
    parser = argparse.ArgumentParser(description="Speed of PyTorch's attention on the GPU.")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="one small shape: only whether everything runs")
    arguments = parser.parse_args()
    try:
        import torch
        from torch.nn.attention import SDPBackend, sdpa_kernel
    except ImportError as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 2
    if not torch.cuda.is_available():
        print("not measured: torch sees no GPU", file=sys.stderr)
        return 2

    torch.manual_seed(0)
    backends = {"pytorch_flash": SDPBackend.FLASH_ATTENTION, "pytorch_cudnn": SDPBackend.CUDNN_ATTENTION}
    rows = []
    for head_dim in (64, 128):
        for causal in (False, True):
            for n in (512,) if arguments.quick else (512, 1024, 2048, 4096, 8192, 16384):
                num_seqs, heads = TOKENS // n, WIDTH // head_dim
                q, k, v = (
                    torch.randn(num_seqs, heads, n, head_dim, device="cuda", dtype=torch.bfloat16) for _ in range(3)
                )
                pairs = n * (n + 1) / 2 if causal else n * n
                flops = 4 * num_seqs * heads * head_dim * pairs
                for name, backend in backends.items():
                    with sdpa_kernel(backend):
                        us = time_us(
                            torch,
                            lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal),
                            2 if arguments.quick else 11,
                        )
                    rows.append({"step": name, "n": n, "head_dim": head_dim, "heads": heads, "num_seqs": num_seqs,
                                 "causal": causal, "dtype": "bf16", "flops": flops, "us": us,
                                 "flops_per_second": 1e6 * flops / us["median"]})  # fmt: skip
    results = {"torch_attention": rows, "torch": torch.__version__, "cudnn": torch.backends.cudnn.version()}
    arguments.json.write_text(json.dumps(results) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
