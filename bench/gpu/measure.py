"""Runs the parts of the GPU's benchmarks, each with a time limit, and gathers them in one JSON file.

    python3 bench/gpu/measure.py --program build/gpu/bench/gpu/bench_gpu --json bench/results/gpu.json

bench/gpu/measure builds and calls this. A part that fails, or takes too long, leaves what it had measured, and its
reason under `parts`; the file is whole after every part. The largest model comes last. Where the file is there already,
from a run on the same kind of GPU, a part of which nothing could be measured keeps what the file has of it, and
`earlier` says of which commit that is.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def said(*command):
    """What a command prints, or None where it can't be run."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def ask_gpu(*fields):
    """nvidia-smi's answers for the first GPU, or None."""
    answer = said("nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits", "--id=0")
    return dict(zip(fields, answer.split(", "))) if answer else None


def number(text):
    """A number that nvidia-smi prints, or None for such as [N/A]."""
    return float(text) if text and re.fullmatch(r"[\d.]+", text) else None


def clocks():
    gpu = ask_gpu("clocks.sm", "clocks.mem")
    return gpu and {"sm_mhz": number(gpu["clocks.sm"]), "memory_mhz": number(gpu["clocks.mem"])}


def describe_machine():
    gpu = ask_gpu("name", "memory.total", "driver_version", "clocks.max.sm", "clocks.max.mem", "power.limit") or {}
    nvcc = re.search(r"release ([\d.]+)", said("nvcc", "--version") or "")
    compiler = said("c++", "--version")
    cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    processor = re.search(r"model name\s*: (.+)", cpuinfo)
    return {
        "gpu": gpu.get("name"),
        "gpu_memory_mib": number(gpu.get("memory.total")),
        "driver": gpu.get("driver_version"),
        "max_clocks": {"sm_mhz": number(gpu.get("clocks.max.sm")), "memory_mhz": number(gpu.get("clocks.max.mem"))},
        "power_limit_watt": number(gpu.get("power.limit")),
        "cuda": nvcc and nvcc.group(1),
        "compiler": compiler and compiler.splitlines()[0],
        "processor": processor and processor.group(1),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def describe_commit():
    """What COMMIT in the environment says; else as in ./run --json: "+" where files differ from it."""
    git = ("git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+")
    return os.environ.get("COMMIT") or said(*git)


def parts(program, device, quick):
    """(name, command, most seconds)"""
    flags = ["--device", device] + ["--quick"] * quick

    def kernels(part):
        return [program, "--part", part, *flags]

    def model(name, dtype):
        return [program, "--part", "model", "--model", name, "--dtype", dtype, *flags]

    def speculation(name, draft):
        return [program, "--part", "speculation", "--model", name, "--draft-model", draft, *flags]

    def batch_sizes(name):
        return [program, "--part", "batch_sizes", "--model", name, *flags]

    def batching(name):
        return [program, "--part", "batching", "--model", name, *flags]

    def served(name):
        script = str(ROOT / "bench/gpu/transformers_batching.py")
        return [sys.executable, script, "--program", program, "--model", name] + ["--quick"] * quick

    peer = [sys.executable, str(ROOT / "bench/gpu/transformers_decode.py")] + ["--quick"] * quick
    torch_peer = [sys.executable, str(ROOT / "bench/gpu/torch_attention.py")] + ["--quick"] * quick
    dram = [sys.executable, str(ROOT / "bench/gpu/dram_bytes.py"), "--program", program] + ["--quick"] * quick
    yield "memory", kernels("memory"), 40
    yield "matvec", kernels("matvec"), 60
    yield "few rows", kernels("few_rows"), 60
    yield "operators", kernels("operators"), 40
    yield "stories bf16", model("models/stories", "bf16"), 30
    yield "stories f32", model("models/stories", "f32"), 30
    if not quick:
        yield "llama-3.2-1b bf16", model("random:llama-3.2-1b", "bf16"), 60
        yield "llama-3.2-1b f32", model("random:llama-3.2-1b", "f32"), 60
    yield "flash", kernels("flash"), 90
    yield "grouped", kernels("grouped"), 80
    yield "torch attention", torch_peer, 60
    yield "dram", dram, 40
    yield "transformers", peer, 110
    yield "batch sizes, stories", batch_sizes("models/stories"), 30
    yield "batching, stories", batching("models/stories"), 60
    yield "transformers' batching, stories", served("models/stories"), 90
    if not quick:
        yield "batch sizes, llama-3.2-1b", batch_sizes("random:llama-3.2-1b"), 30
        yield "batching, llama-3.2-1b", batching("random:llama-3.2-1b"), 90
        yield "transformers' batching, llama-3.2-1b", served("llama-3.2-1b"), 150
    yield "matrix", kernels("matrix"), 40
    if not quick:
        yield "speculation, stories", speculation("models/stories", "models/stories-draft"), 30
        yield "llama-3-8b bf16", model("random:llama-3-8b", "bf16"), 200
        yield "speculation, llama-3-8b", speculation("random:llama-3-8b", "random:llama-3.2-1b"), 150
        yield "batch sizes, llama-3-8b", batch_sizes("random:llama-3-8b"), 60


def run_part(command, seconds, folder):
    """(rows by list, how it ended: None where all is well)"""
    file, log = folder / "part.json", folder / "part.log"
    file.unlink(missing_ok=True)
    reason = None
    with log.open("w") as out:
        try:
            code = subprocess.run(
                [*command, "--json", str(file)], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, timeout=seconds
            ).returncode
            if code != 0:
                lines = log.read_text(errors="replace").strip().splitlines()
                reason = lines[-1] if lines else f"exit code {code}"
        except subprocess.TimeoutExpired:
            reason = f"took longer than {seconds:.0f} s"
        except OSError as error:
            reason = f"can't be started: {error.strerror}"
    return (json.loads(file.read_text()) if file.is_file() else {}), reason


def read_earlier(path, machine):
    """What the file has of an earlier run on such a GPU: rows that know their part. Any other file is written over."""
    try:
        earlier = json.loads(path.read_text())
        return earlier if earlier["machine"]["gpu"] == machine["gpu"] else {}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def keep_earlier(results, earlier, name):
    """Takes over a part that the earlier run had measured. Returns whether it had."""
    part = earlier.get("parts", {}).get(name)
    if not part or part["not_measured"]:
        return False
    for key, rows in earlier.items():
        if isinstance(rows, list):
            results.setdefault(key, []).extend(row for row in rows if row.get("part") == name)
    results["parts"][name] = {"commit": earlier["commit"], **part}
    kept = [f"{part_name}, at {p['commit']}" for part_name, p in results["parts"].items() if "commit" in p]
    results["earlier"] = "; ".join(kept)
    return True


def write(path, results):
    """The whole file or nothing."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    beside.replace(path)


def main():
    parser = argparse.ArgumentParser(description="Gathers the GPU's benchmarks in one JSON file.")
    parser.add_argument("--program", required=True, help="bench_gpu")
    parser.add_argument("--json", type=Path, required=True, help="the file to write")
    parser.add_argument("--seconds", type=float, default=540, help="in all")
    parser.add_argument("--device", choices=["cuda", "simt"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny shapes: only whether everything runs")
    arguments = parser.parse_args()
    if not arguments.json.parent.is_dir():
        folder = arguments.json.parent
        print(f"--json is {arguments.json}, but there is no folder {folder}; make it first", file=sys.stderr)
        return 2

    end = time.monotonic() + arguments.seconds
    results = {"machine": describe_machine(), "commit": describe_commit(), "earlier": "none", "seed": 0, "parts": {}}
    earlier = read_earlier(arguments.json, results["machine"])
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name, command, most in parts(str(Path(arguments.program).absolute()), arguments.device, arguments.quick):
            begin = time.monotonic()
            left = min(most, end - begin)
            rows, reason = run_part(command, left, Path(folder)) if left > 1 else ({}, "no time was left for it")
            for key, more in rows.items():
                if isinstance(more, list):
                    results.setdefault(key, []).extend({**row, "part": name} for row in more)
                else:
                    results["machine"][key] = more
            seconds = round(time.monotonic() - begin, 1)
            if rows or not keep_earlier(results, earlier, name):
                results["parts"][name] = {"seconds": seconds, "not_measured": reason, "clocks_after": clocks()}
            if reason:
                failed.append(name)
            write(arguments.json, results)
            print(f"{name}: {seconds:.1f} s" + (f", {reason}" if reason else ""), flush=True)
    print(f"{arguments.json}: {len(results['parts']) - len(failed)} parts measured, {len(failed)} not or not in full")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
