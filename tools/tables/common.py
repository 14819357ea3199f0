"""What the chapters' tables share: how one is drawn, and how the stored results are read."""

from statistics import median

from results import NOT_MEASURED, PageError, format_count, format_percent, format_ratio, three_digits

TABLES = {}


def table(function):
    TABLES[function.__name__] = function
    return function


def draw_table(header, rows):
    """A Markdown table; None in a cell was not measured."""
    if not rows:
        raise PageError(f"the stored results have no row for the table of {header[0] or header[1]}")
    lines = [header, ["---"] + ["---:"] * (len(header) - 1)]
    lines += [[NOT_MEASURED if cell is None else cell for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def draw_if_measured(header, rows):
    return draw_table(header, rows) if rows else NOT_MEASURED


def ratio(value, base=1):
    """How many times `base` it is; None where one of them was not measured."""
    return None if value is None or base is None else format_ratio(value / base)


def share(value, base=1):
    """What part of `base` it is, as a percentage; None where one of them was not measured."""
    return None if value is None or base is None else format_percent(value / base)


def two_digits(value):
    return None if value is None else f"{value:.2f}"


def benchmark_medians(report, counters=("tokens_per_second", "bytes_per_second")):
    """Of Google Benchmark's JSON: the median of each counter over the repetitions, by the benchmark's name. The file
    has the repetitions, their aggregates, or both."""
    values = {}
    for run in report["benchmarks"]:
        if run.get("aggregate_name", "median") != "median":
            continue
        for counter in counters:
            if counter in run:
                name = run["run_name"].removesuffix("/real_time").removesuffix("/iterations:1")
                values.setdefault((name, counter), []).append(run[counter])
    return {key: median(series) for key, series in values.items()}


def gpu_rows(results, name):
    """A list of gpu.json; empty where none of it was measured."""
    return (results.load("gpu.json") or {}).get(name, [])


def gpu_row(results, name, **wanted):
    """The row of a list with these values, or None."""
    return next((row for row in gpu_rows(results, name) if all(row[key] == wanted[key] for key in wanted)), None)


def copy_rate(results):
    """Bytes a second of a copy on the device, reading and writing counted; None where it was not measured."""
    row = gpu_row(results, "memory", what="copy")
    return row and row["bytes_per_second"]


def format_rate(value):
    return None if value is None else format_count(round(value)) if value >= 100 else three_digits(value)


def median_rate(row, key="tokens_per_second"):
    return row and row[key]["median"]


def spread(summary):
    """From the smallest to the largest, as a share of the median."""
    return format_percent((summary["max"] - summary["min"]) / summary["median"])


def model_name(row):
    return f"{row['model'].removeprefix('random:').removeprefix('models/')}, {row['dtype']}"


GROWTH = "time per token, last tenth against first tenth"


def growth(values):
    """How much larger the last tenth of a list is than the first, by their medians. What is at 0 is left out: the first
    step also warms the caches up, or is the prefill."""
    values = values[1:]
    tenth = max(1, len(values) // 10)
    return median(values[-tenth:]) / median(values[:tenth])


def rate_rows(report):
    """What was measured, as a multiple of what was predicted, for the two times that every chapter reports."""
    details = report["details"]
    first, rate = details["predicted_ttft_ms"], details["predicted_tokens_per_second"]
    return [
        ["time to first token, as a multiple of the predicted", "1×", ratio(report["ttft_ms"], first)],
        ["tokens/s after the first, as a multiple of the predicted", "1×", ratio(report["tokens_per_second"], rate)],
    ]
