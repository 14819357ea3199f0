"""The ladder's tables: all chapters in one run, and the long version of it."""

from results import NOT_MEASURED, format_bytes, format_count, format_ratio, three_digits
from tables.common import draw_if_measured, draw_table, model_name, ratio, share, table, two_digits


def against_before(chapters):
    """Each report's tokens/s against that of the report before it; the first has none."""
    rates = [report["tokens_per_second"] for report in chapters]
    return ["", *(ratio(rate, before) for rate, before in zip(rates[1:], rates))]


@table
def ladder(results):
    """What ./run prints at its end, in ratios."""
    header = ["", "tokens/s against chapter 1", "against the one before", "time to first token against chapter 1",
              "KV bytes", "same output"]  # fmt: skip
    chapters = results.find("ladder.json", "chapters")
    if not chapters:
        return NOT_MEASURED
    rows = []
    for report, before in zip(chapters, against_before(chapters)):
        rows.append([
            f"{report['chapter']} {report['technique']}",
            ratio(report["tokens_per_second"], chapters[0]["tokens_per_second"]),
            before,
            ratio(report["ttft_ms"], chapters[0]["ttft_ms"]),
            format_bytes(report["kv_bytes"]),
            "yes" if report["same_output"] else "NO",
        ])  # fmt: skip
    return draw_table(header, rows)


@table
def ladder_gpu(results):
    """The same on a GPU: times with its name."""
    gpu = results.find("ladder_gpu.json", "machine.gpu")
    if not gpu:
        return NOT_MEASURED
    chapters = results.find("ladder_gpu.json", "chapters")
    header = [gpu, "tokens/s", "against chapter 1", "against the one before", "time to first token", "same output"]
    rows = []
    for report, before in zip(chapters, against_before(chapters)):
        rows.append([
            f"{report['chapter']} {report['technique']}",
            format_count(round(report["tokens_per_second"])),
            ratio(report["tokens_per_second"], chapters[0]["tokens_per_second"]),
            before,
            f"{three_digits(report['ttft_ms'])} ms",
            "yes" if report["same_output"] else "NO",
        ])  # fmt: skip
    return draw_table(header, rows)


def figures_of_flash(details):
    """Bytes at the largest N that was counted, by step."""
    counted = [kernel for kernel in details["kernels"] if kernel["bytes_read"] is not None]
    largest = max((kernel["n"] for kernel in counted), default=0)
    moved = {k["name"]: k["bytes_read"] + k["bytes_written"] for k in counted if k["n"] == largest}
    pair = [moved.get(step) for step in ("standard_attention", "flash_attention_2")]
    yield f"bytes that attention moves, N = {largest}", *(bytes and format_bytes(bytes) for bytes in pair)


def figures_of_grouped(details):
    if len(details["variants"]) > 1:
        all_heads, fewer = details["variants"][:2]
        bytes = [format_count(variant["kv_bytes_per_token"]) for variant in (all_heads, fewer)]
        yield f"KV bytes a token, {fewer['name']}", *bytes
        yield f"perplexity, {fewer['name']}", two_digits(all_heads["perplexity"]), two_digits(fewer["perplexity"])


def figures_of(chapter, details):
    """What a chapter is about: name, without its technique, with it. The same as ./run's second table."""
    if chapter == 2:
        passes = [format_count(details[key]) for key in ("token_passes_naive", "token_passes_cached")]
        yield "tokens passed through the model", *passes
    elif chapter == 3:
        wasted = [share(1.0 - details[run]["used_share"]) for run in ("contiguous", "paged")]
        yield "KV memory reserved, but holding no token", *wasted
    elif chapter == 4:
        yield from figures_of_flash(details)
    elif chapter == 5:
        yield from figures_of_grouped(details)
    elif chapter == 6:
        yield "drafted tokens accepted", "", share(details["acceptance"])
        yield "tokens a pass of the large model", "1.00", two_digits(details["tokens_per_round"])
    elif chapter == 7:
        idle = [share(details[run]["idle_slot_steps"], details[run]["slot_steps"]) for run in ("static", "continuous")]
        yield "slot-steps idle", *idle
    elif chapter == 8:
        yield "prompt tokens found in the cache", share(0.0), share(details["hit_rate"])


@table
def ladder_figures(results):
    """What each chapter is about, without its technique and with it."""
    rows = []
    for report in results.find("ladder.json", "chapters") or []:
        for what, without, with_it in figures_of(report["chapter"], report["details"]):
            rows.append([f"{report['chapter']} {what}", without, with_it])
    return draw_if_measured(["what each chapter is about", "without", "with it"], rows)


def rate_and_range(row, base):
    """The median of a case's runs, the slowest and the fastest of them, against chapter 1's median."""
    rate = row.get("tokens_per_second")
    if rate is None or base is None:
        return None
    low, high = (format_ratio(rate[end] / base).rstrip("×") for end in ("min", "max"))
    return f"{format_ratio(rate['median'] / base)} ({low}–{high})"


@table
def ladder_long(results):
    """What `./run --long --json` wrote: a line a setting, each chapter against chapter 1 in the same one."""
    gpu = results.find("ladder_long_gpu.json", "machine.gpu") or "cuda"
    settings = {}  # by what the line begins with: the chapters' rows
    for file in ("ladder_long.json", "ladder_long_gpu.json"):
        for row in results.find(file, "rows") or []:
            device = gpu if row["device"] == "cuda" else row["device"]
            begin = (f"{model_name(row)}, {device}", f"{row['prompt_tokens']} + {row['max_tokens']}")
            settings.setdefault(begin, {})[row["chapter"]] = row
    chapters = sorted({chapter for rows in settings.values() for chapter in rows})
    lines = []
    for begin, rows in settings.items():
        base = rows[1].get("tokens_per_second", {}).get("median")
        same = all(row.get("same_output", True) for row in rows.values())
        cells = [rate_and_range(rows.get(chapter, {}), base) for chapter in chapters]
        lines.append([*begin, *cells, "yes" if same else "NO"])
    return draw_if_measured(["model", "prompt + text", *(f"{n}" for n in chapters), "same output"], lines)
