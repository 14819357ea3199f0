"""What chapter 4's steps move between the GPU and its DRAM, as the profiler ncu reads it from the hardware.

    python3 bench/gpu/dram_bytes.py --program build/gpu/bench/gpu/bench_gpu --json FILE

Caches are emptied before each kernel, which is ncu's default. Where ncu is missing, or may not read the counters, one
sentence says so, with exit code 2.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

METRICS = {"dram__bytes_read.sum": "dram_bytes_read", "dram__bytes_write.sum": "dram_bytes_written"}
# The kernels of each step; the first one begins a shape.
STEPS = {
    "scores_kernel": "standard_attention",
    "softmax_kernel": "standard_attention",
    "weigh_kernel": "standard_attention",
    "flash_attention_1_kernel": "flash_attention_1",
    "flash_attention_2_kernel": "flash_attention_2",
    "flash_attention_2_tensor_kernel": "flash_attention_2",
}


def profile(command):
    """ncu's rows, one a kernel and metric; or the reason why there are none."""
    ncu = ["ncu", "--csv", "--print-units", "base", "--metrics", ",".join(METRICS)]
    try:
        done = subprocess.run([*ncu, *command], capture_output=True, text=True)
    except OSError:
        return [], "ncu, of NVIDIA's Nsight Compute, is not installed"
    lines = done.stdout.splitlines()
    errors = [line for line in lines if line.startswith("==ERROR==")]
    header = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), None)
    if done.returncode != 0 or header is None:
        said = errors or (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        return [], "ncu: " + said[-1].removeprefix("==ERROR== ")
    return list(csv.DictReader(lines[header:])), None


def add_up(counts):
    """[{step: {metric: bytes}}], an entry a shape."""
    shapes, last = [], None
    for count in counts:
        kernel = count["Kernel Name"].split("<")[0].split("(")[0].split("::")[-1].split()[-1]
        if kernel not in STEPS:
            continue
        if kernel == "scores_kernel" and count["ID"] != last:
            shapes.append({})
        last = count["ID"]
        moved = shapes[-1].setdefault(STEPS[kernel], dict.fromkeys(METRICS.values(), 0))
        moved[METRICS[count["Metric Name"]]] += int(float(count["Metric Value"].replace(",", "")))
    return shapes


def main():
    parser = argparse.ArgumentParser(description="DRAM traffic of chapter 4's steps on the GPU.")
    parser.add_argument("--program", required=True, help="bench_gpu")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="one small shape: only whether everything runs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "part.json"
        command = [arguments.program, "--part", "dram", "--json", str(part), *["--quick"] * arguments.quick]
        counts, reason = profile(command)
        if reason:
            print(f"not measured: {reason}", file=sys.stderr)
            return 2
        rows = json.loads(part.read_text())["dram"]
    shapes = iter(add_up(counts))
    for row in rows:
        if row["step"] == "standard_attention":
            moved = next(shapes)
        row.update(moved[row["step"]])
    arguments.json.write_text(json.dumps({"dram": rows}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
