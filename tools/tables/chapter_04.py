"""Chapter 4's tables."""

from results import format_bytes, format_count, three_digits
from tables.common import copy_rate, draw_if_measured, format_rate, gpu_rows, ratio, share, spread, table


@table
def flash_traffic(results):
    """What chapter 4's steps move in global memory, as the simulator counts it, beside the formulas."""
    report = results.chapter(4)
    rows = []
    for kernel in report["details"]["kernels"] if report else []:
        if kernel["max_error"] is None:  # one that was only timed
            continue
        moved = [kernel[key] for key in ("predicted_bytes_read", "bytes_read", "predicted_bytes_written", "bytes_written")]
        shape = [format_count(kernel[key]) for key in ("n", "head_dim", "tile")]
        rows.append([f"`{kernel['name']}`", *shape, *(bytes and format_bytes(bytes) for bytes in moved)])
    header = ["", "N", "head_dim", "tile", "read, predicted", "read, counted", "written, predicted", "written, counted"]
    return draw_if_measured(header, rows)


@table
def flash_dram(results):
    """What chapter 4's steps move between a GPU and its DRAM, as its profiler reads it, beside the least possible."""
    rows = []
    for row in gpu_rows(results, "dram"):
        moved = [row[key] for key in ("least_bytes_read", "dram_bytes_read", "least_bytes_written", "dram_bytes_written")]
        rows.append([f"`{row['step']}`", format_count(row["n"]), *map(format_bytes, moved)])
    header = ["", "N", "Q, K, V", "read from DRAM", "O", "written to DRAM"]
    return draw_if_measured(header, rows)


@table
def flash_gpu(results):
    """Chapter 4's steps on a GPU beside PyTorch's attention, in 10¹² operations a second."""
    shape_keys = ("n", "head_dim", "causal")
    rates = {}
    for row in gpu_rows(results, "flash") + gpu_rows(results, "torch_attention"):
        rates.setdefault(tuple(row[key] for key in shape_keys), {})[row["step"]] = row["flops_per_second"] / 1e12
    steps = ["standard_attention", "flash_attention_1", "flash_attention_2", "pytorch_flash", "pytorch_cudnn"]
    rows = []
    for (n, head_dim, causal), of_step in sorted(rates.items(), key=lambda item: (item[0][1], item[0][2], item[0][0])):
        cells = [format_rate(of_step[step]) if step in of_step else "" for step in steps]
        against = ratio(of_step.get("flash_attention_2"), of_step.get("pytorch_flash"))
        rows.append([format_count(head_dim), "yes" if causal else "no", format_count(n), *cells, against])
    header = ["head_dim", "causal", "N", "standard", "flash 1", "flash 2", "PyTorch, flash", "PyTorch, cuDNN", "flash 2 against PyTorch's"]
    return draw_if_measured(header, rows)


@table
def flash_decoding_gpu(results):
    """One query a sequence over all its keys, as a share of copy bandwidth."""
    copy = copy_rate(results)
    rows = []
    for row in gpu_rows(results, "flash_decoding"):
        where = f"in blocks of {row['block_size']}" if row["block_size"] else "contiguous"
        rows.append([format_count(row["num_seqs"]), format_count(row["n"]), where, three_digits(row["us"]["median"]),
                     share(row["bytes_per_second"], copy), spread(row["us"])])  # fmt: skip
    return draw_if_measured(["sequences", "keys of each", "cache", "µs", "share of copy", "spread"], rows)
