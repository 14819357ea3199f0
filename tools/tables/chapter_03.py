"""Chapter 3's tables."""

from results import NOT_MEASURED, format_bytes, format_count, format_percent, three_digits
from tables.common import benchmark_medians, draw_if_measured, draw_table, gpu_row, gpu_rows, ratio, share, table


def mean(value):
    """A mean count; nothing where there is none."""
    return "" if value is None else f"{value:.1f}"


@table
def paged_budget(results):
    """Chapter 3's requests of mixed lengths in one budget, contiguous and paged, each at its own peak."""
    report = results.chapter(3)
    if not report:
        return NOT_MEASURED
    details = report["details"]
    runs, budget = [details["contiguous"], details["paged"]], details["kv_budget_bytes"]

    def row(what, value_of):
        return [what, *map(value_of, runs)]

    rows = [
        row("texts at once, at most", lambda run: format_count(run["most_at_once"])),
        row("texts at once while others wait", lambda run: mean(run["mean_at_once"])),
        row("reserved at the peak", lambda run: format_bytes(run["bytes_reserved"])),
        row("of it used by tokens", lambda run: format_bytes(run["bytes_used"])),
        row("wasted inside reservations", lambda run: format_bytes(run["bytes_reserved"] - run["bytes_used"])),
        row("left between reservations", lambda run: format_bytes(budget - run["bytes_reserved"])),
        row("used of the reserved, over all steps", lambda run: share(run["used_share"])),
        row("the same, predicted", lambda run: share(run["predicted_used_share"])),
        row("steps until all are done", lambda run: format_count(run["steps"])),
        row("texts begun again for want of blocks", lambda run: format_count(run["preemptions"])),
    ]
    return draw_table(["", "contiguous", "paged"], rows)


@table
def paper_waste(results):
    """This program's share of useful KV memory beside the paper's (Kwon et al., 2023, figure 2)."""
    report = results.chapter(3)
    details = report and report["details"]
    rows = [
        ["reserved for the longest case", "20.4% to 38.2%", share(details["contiguous"]["used_share"]) if details else None],
        ["in blocks of 16", "96.3%", share(details["paged"]["used_share"]) if details else None],
    ]  # fmt: skip
    return draw_table(["KV memory that holds tokens", "the paper", "this program"], rows)


@table
def shared_blocks(results):
    """What samples of one prompt take, shared and not."""
    report = results.chapter(3)
    if not report:
        return NOT_MEASURED
    rows = []
    for key, what in (("samples", "the prompt"), ("endings", "the text's first half")):
        run = report["details"][key]
        rows.append([
            f"{run['count']} samples of {what}, {run['prompt_tokens']} tokens",
            *(format_count(run[field]) for field in ("blocks_unshared", "predicted_blocks", "blocks")),
            format_percent(1.0 - run["blocks"] / run["blocks_unshared"]), format_count(run["blocks_copied"]),
        ])  # fmt: skip
    header = ["", "blocks, each its own", "shared, predicted", "shared, measured", "saved", "copied on write"]
    return draw_table(header, rows)


@table
def block_sizes(results):
    """Chapter 3's sweep over block sizes, the file that `./run 3 --sweep --json` writes."""
    sweep = results.find("paged_sweep.json", "details.sweep")
    if not sweep:
        return NOT_MEASURED
    rows = []
    for entry in sweep:
        run = entry["run"]
        rows.append([
            format_count(entry["block_size"]), share(run["used_share"]), share(run["predicted_used_share"]),
            mean(run["mean_at_once"]), format_count(run["steps"]),
        ])  # fmt: skip
    header = ["block size", "used of the reserved", "predicted", "texts at once while others wait", "steps"]
    return draw_table(header, rows)


def time_ratios(report):
    """Time of attention and of a decode step out of blocks, as a multiple of that from a contiguous cache."""
    if not report:
        return NOT_MEASURED
    times = benchmark_medians(report, ["real_time"])
    layouts = [f"blocks:{size}" for size in (1, 4, 16, 64, 256)]
    rows = []
    for name, counter in sorted(times):  # they were run in a random order
        work, _, layout = name.rpartition("/")
        if layout == "contiguous":
            cells = [ratio(times.get((f"{work}/{blocks}", counter)), times[(name, counter)]) for blocks in layouts]
            rows.append([work.replace("/", " "), *cells])
    header = ["time, contiguous = 1"] + [layout.replace("blocks:", "blocks of ") for layout in layouts]
    return draw_table(header, rows)


@table
def paged_speed(results):
    """What `bench_paged` measures on the CPU."""
    return time_ratios(results.load("paged.json"))


@table
def paged_speed_gpu(results):
    """Chapter 4's decoding of one query a sequence on a GPU, out of blocks of 16 and from a contiguous cache."""
    rows = []
    for row in gpu_rows(results, "flash_decoding"):
        if row["block_size"] == 0:
            same = {key: row[key] for key in ("n", "num_seqs", "head_dim", "heads", "kv_heads")}
            paged = gpu_row(results, "flash_decoding", block_size=16, **same)["us"]["median"]
            us = row["us"]["median"]
            rows.append([format_count(row["num_seqs"]), format_count(row["n"]), three_digits(us), three_digits(paged),
                         ratio(paged, us)])  # fmt: skip
    return draw_if_measured(["sequences", "keys of each", "contiguous, µs", "blocks of 16, µs", "time, contiguous = 1"], rows)
