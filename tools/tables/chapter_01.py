"""Chapter 1's tables."""

from results import NOT_MEASURED, format_count, format_ratio
from tables.common import (
    GROWTH,
    draw_if_measured,
    draw_table,
    format_rate,
    gpu_rows,
    growth,
    median_rate,
    model_name,
    rate_rows,
    ratio,
    table,
)


@table
def measured_naive(results):
    report = results.chapter(1)
    if not report:
        return NOT_MEASURED
    details = report["details"]
    prompt, generated = report["prompt_tokens"], len(report["token_ids"])
    lengths = [prompt + i for i in range(generated)]
    rows = [
        ["token passes", format_count(sum(lengths)), format_count(details["token_passes"])],
        [GROWTH, format_ratio(growth(lengths)), format_ratio(growth(details["step_ms"]))],
    ]
    return draw_table(["", "predicted", "measured"], rows + rate_rows(report))


@table
def gpu_naive(results):
    """Chapters 1 and 2 on the embedded model."""
    rows = []
    for row in gpu_rows(results, "naive"):
        naive, cached = median_rate(row), median_rate(row, "cached_tokens_per_second")
        rows.append([model_name(row), format_count(row["tokens"]), format_rate(naive), format_rate(cached),
                     ratio(cached, naive)])  # fmt: skip
    return draw_if_measured(["model", "tokens", "chapter 1, tokens/s", "chapter 2, tokens/s", "against chapter 1"], rows)
