"""The plots of the pages: a small function each, which makes a drawing of the stored results, or None where they are not
stored. tools/pages.py writes them to docs/results.

What was measured on a CPU that is shared with others is drawn as ratios within one run, counts and bytes.
"""

from statistics import median

from drawing import (
    BLUE,
    GRAY,
    GREEN,
    PURPLE,
    VERMILION,
    Series,
    at_values,
    bars,
    bytes_in_words,
    chart,
    decades,
    linear,
    smooth,
    to_svg,
    up_to,
)
from results import format_ratio
from tables.common import gpu_row, gpu_rows

PLOTS = {}  # name: (title, function)


def plot(title):
    def keep(function):
        PLOTS[function.__name__] = (title, function)
        return function

    return keep


def draw(name, results):
    """The plot's title, its file from the project's root, and its SVG; None in place of that where it was not measured."""
    title, function = PLOTS[name]
    drawing = function(results)
    return title, f"docs/results/{name.replace('_', '-')}.svg", drawing and to_svg(title, drawing)


def percents(value):
    return f"{100 * value:g}%"


def times(value):
    return f"{value:g}×"


def all_y(series):
    return [value for one in series for value in one.y]


@plot("Tokens/s against chapter 1, up the ladder")
def ladder_speed(results):
    chapters = results.find("ladder.json", "chapters")
    if not chapters:
        return None
    base, rows = chapters[0]["tokens_per_second"], []
    for report in chapters:
        if report["tokens_per_second"] is None:
            continue
        against = report["tokens_per_second"] / base
        rows.append((f"{report['chapter']} {report['technique']}", against, format_ratio(against)))
        if report["chapter"] == 7:
            together = report["details"]["continuous"]["tokens_per_second"] / base
            rows.append(("", together, f"{format_ratio(together)}, all texts"))
    return bars("tokens/s of one text, chapter 1 = 1", rows)


# The unit is chapter 2's median step: a shared machine's milliseconds say little, how the two compare within one run
# says much.
@plot("Time per token against its position, chapters 1 and 2")
def time_per_token(results):
    reports = [results.chapter(1), results.chapter(2)]
    if None in reports:
        return None
    unit = median(reports[1]["details"]["step_ms"][1:])
    points, lines = [], []
    for report, color in zip(reports, (VERMILION, BLUE)):
        y = [ms / unit for ms in report["details"]["step_ms"]]
        x = [report["prompt_tokens"] + i for i in range(len(y))]
        points.append(Series("", color, x, y, mark="circle", line="none", opacity=0.35, mark_size=1.4))
        line = "solid" if report["chapter"] == 1 else "dashed"
        lines.append(Series(f"chapter {report['chapter']}", color, x, smooth(y), line=line))
    x_axis = up_to("position of the token in the sequence", max(max(line.x) for line in lines))
    y_axis = linear("time, chapter 2's median step = 1", all_y(lines))
    return chart(x_axis, y_axis, points + lines)


@plot("Waste of reserved KV memory against the block size, chapter 3")
def memory_waste(results):
    details = results.find("paged_sweep.json", "details")
    sweep = details and details.get("sweep")
    if not sweep:
        return None
    sizes = [row["block_size"] for row in sweep]
    ends, contiguous = [sizes[0], sizes[-1]], 1.0 - details["contiguous"]["used_share"]
    waste = {key: [1.0 - row["run"][key] for row in sweep] for key in ("used_share", "predicted_used_share")}
    series = [
        Series("contiguous", VERMILION, ends, [contiguous, contiguous], line="dashed"),
        Series("paged, predicted", GRAY, sizes, waste["predicted_used_share"], line="dashed"),
        Series("paged", BLUE, sizes, waste["used_share"], mark="circle"),
    ]
    y_axis = linear("reserved, but holding no token, over all steps", [1.0], percents)
    return chart(at_values("tokens in a block", sizes, logarithmic=True), y_axis, series)


def gpu_name(results):
    return results.find("gpu.json", "machine.gpu")


STEPS = {  # chapter 4's beside PyTorch's, and how each is drawn; larger marks first, for some lie on one another
    "pytorch_cudnn": ("PyTorch, cuDNN", GRAY, "square", 4.5),
    "pytorch_flash": ("PyTorch, flash", GREEN, "diamond", 7),
    "standard_attention": ("standard", VERMILION, "square", 4.5),
    "flash_attention_1": ("flash 1", PURPLE, "triangle", 4.5),
    "flash_attention_2": ("flash 2", BLUE, "circle", 4),
}


def against_n(rows, label, value_of, words, predicted_of=None):
    """A line for each step of chapter 4 over N, both axes logarithmic; `predicted_of` dashed beside it."""
    if not rows:
        return None
    series = []
    for name, (title, color, shape, size) in STEPS.items():
        mine = sorted((row for row in rows if row["name"] == name), key=lambda row: row["n"])
        if not mine:
            continue
        n = [row["n"] for row in mine]
        series.append(Series(title, color, n, [value_of(row) for row in mine], shape, mark_size=size))
        if predicted_of:
            series.append(Series("", color, n, [predicted_of(row) for row in mine], line="dashed"))
    x_axis = at_values("N, queries and keys", [row["n"] for row in rows], logarithmic=True)
    return chart(x_axis, decades(label, all_y(series), words), series)


@plot("Traffic of attention against N, counted on the simulator, chapter 4")
def attention_traffic(results):
    report = results.chapter(4)
    rows = [row for row in report["details"]["kernels"] if row["bytes_read"]] if report else []

    def predicted(row):
        return row["predicted_bytes_read"] + row["predicted_bytes_written"]

    label = "read and written, before any cache; predicted dashed"
    return against_n(rows, label, lambda row: row["bytes_read"] + row["bytes_written"], bytes_in_words, predicted)


@plot("Traffic between a GPU and its memory against N, chapter 4")
def attention_dram(results):
    rows = [{**row, "name": row["step"]} for row in gpu_rows(results, "dram")]
    label = f"read from DRAM and written to it, {gpu_name(results)}"
    return against_n(rows, label, lambda row: row["dram_bytes_read"] + row["dram_bytes_written"], bytes_in_words)


@plot("Time of attention on a GPU against N, beside PyTorch, chapter 4")
def attention_time(results):
    rows = [
        {**row, "name": row["step"]}
        for row in gpu_rows(results, "flash") + gpu_rows(results, "torch_attention")
        if row["head_dim"] == 128 and not row["causal"]
    ]
    label = f"ms for 16,384 tokens, {gpu_name(results)}"
    return against_n(rows, label, lambda row: row["us"]["median"] / 1000, lambda value: f"{value:g}")


@plot("KV bytes and perplexity against KV heads, chapter 5")
def kv_heads(results):
    variants = results.find("grouped_sweep.json", "details.variants")
    if not variants:
        return None
    heads = [variant["kv_heads"] for variant in variants]
    most = variants[heads.index(max(heads))]
    series = []
    for key, title, color, shape in (
        ("kv_bytes_per_token", "KV bytes a token", BLUE, "circle"),
        ("perplexity", "perplexity", VERMILION, "square"),
    ):
        series.append(Series(title, color, heads, [variant[key] / most[key] for variant in variants], mark=shape))
    y_axis = linear(f"with {max(heads)} KV heads = 1", all_y(series), times)
    return chart(at_values("KV heads", heads, first=0), y_axis, series)


def speedup_chart(label, series):
    """Over k, with a line where nothing is gained."""
    largest = max(max(one.x) for one in series)
    series = [Series("no gain", GRAY, [1, largest], [1.0, 1.0], line="dashed"), *series]
    x_axis = at_values("k, tokens drafted in a round", range(1, largest + 1))
    return chart(x_axis, linear(label, all_y(series), times), series)


@plot("Speed-up against k by drafter, chapter 6")
def speedup_by_drafter(results):
    runs = [
        ("a small model", BLUE, "circle", (results.chapter(6) or {}).get("details")),
        ("lookup, text that repeats", GREEN, "diamond", results.find("speculative_ngram.json", "details")),
    ]
    sweep = results.find("speculative_sweep.json", "details.sweep") or []
    for entry in sweep:
        if (entry["drafter"], entry["temperature"], entry["texts"]) == ("ngram", 0.0, 1):
            runs.append(("lookup, a story", VERMILION, "square", entry))
    series = []
    for label, color, shape, run in runs:
        rows = [row for row in run["by_k"] if row["speedup"] is not None] if run else []
        if rows:
            series.append(Series(label, color, [row["k"] for row in rows], [row["speedup"] for row in rows], mark=shape))
    return speedup_chart("speed-up against chapter 2", series) if series else None


@plot("Speed-up against k at simulated acceptance, on a GPU, chapter 6")
def speedup_by_acceptance(results):
    rows = [row for row in gpu_rows(results, "speculation") if row["model"] == "random:llama-3-8b"]
    series = []
    styles = zip(sorted({row["simulated_acceptance"] for row in rows}), (VERMILION, GREEN, BLUE), ("square", "diamond", "circle"))
    for acceptance, color, shape in styles:
        mine = [row for row in rows if row["simulated_acceptance"] == acceptance]
        k = [row["k"] for row in mine]
        series.append(Series("", color, k, [row["speedup_predicted"] for row in mine], line="dashed"))
        label = f"{percents(acceptance)} accepted"
        series.append(Series(label, color, k, [row["speedup"] for row in mine], mark=shape, line="none"))
    label = f"speed-up, {gpu_name(results)}; predicted dashed"
    return speedup_chart(label, series) if series else None


@plot("Slots at work over the steps, static and continuous, chapter 7")
def slot_occupancy(results):
    report = results.chapter(7)
    runs = [(report["details"][key].get("busy_slots"), key) for key in ("static", "continuous")] if report else []
    if not runs or not all(busy for busy, _ in runs):
        return None
    series = []
    for (busy, key), color, line in zip(runs, (VERMILION, BLUE), ("dashed", "solid")):
        x, y = [0], [busy[0]]
        for step in range(1, len(busy) + 1):
            now = busy[step] if step < len(busy) else 0
            if now != y[-1]:
                x += [step, step]
                y += [y[-1], now]
        series.append(Series(key, color, x, y, line=line))
    slots = report["details"]["num_slots"]
    x_axis = up_to("step", max(one.x[-1] for one in series))
    return chart(x_axis, linear(f"slots that compute, of {slots}", [slots]), series)


@plot("Time to first token against the cached share of the prompt, chapter 8")
def ttft_by_cached_share(results):
    report = results.chapter(8)
    if not report:
        return None
    details = report["details"]
    series = [Series("if a cached token cost nothing", GRAY, [0.0, 1.0], [1.0, 0.0], line="dashed")]
    styles = (("stories", "square", VERMILION), ("llama-3.2-1b", "triangle", PURPLE), ("llama-3-8b", "diamond", GREEN))
    for name, shape, color in styles:
        model = "models/stories" if name == "stories" else f"random:{name}"
        row = gpu_row(results, "prompt_cache", model=model, dtype="bf16")
        if row:
            x, y = [row["cached_tokens"] / row["prompt_len"]], [row["warm_ttft_ms"]["median"] / row["cold_ttft_ms"]["median"]]
            series.append(Series(f"{name}, GPU", color, x, y, mark=shape, line="none"))
    sweep = results.find("prompt_sweep.json", "details.sweep")
    if sweep:
        x = [row["cached_tokens"] / row["prompt_tokens"] for row in sweep]
        y, line = [row["ttft_ms_warm"] / row["ttft_ms_cold"] for row in sweep], "solid"
    else:  # the one share that is in every run
        x, y, line = [details["probe_cached_tokens"] / details["probe_prompt_tokens"]], [1.0 / details["ttft_ratio"]], "none"
    series.append(Series("stories, CPU", BLUE, x, y, mark="circle", line=line, mark_size=3))  # on top of the others
    x_axis = up_to("share of the prompt that is cached", 1.0, percents)
    return chart(x_axis, linear("time to first token, nothing cached = 1", all_y(series)), series)
