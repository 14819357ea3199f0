"""The ladder's table: all chapters in one run."""

from results import NOT_MEASURED, format_bytes
from tables.common import draw_table, ratio, table


@table
def ladder(results):
    """What ./run prints at its end, in ratios."""
    header = ["", "tokens/s against chapter 1", "time to first token against chapter 1", "KV bytes", "same output"]
    chapters = results.find("ladder.json", "chapters")
    if not chapters:
        return NOT_MEASURED
    base = chapters[0]
    rows = []
    for report in chapters:
        rows.append(
            [
                f"{report['chapter']} {report['technique']}",
                ratio(report["tokens_per_second"], base["tokens_per_second"]),
                ratio(report["ttft_ms"], base["ttft_ms"]),
                format_bytes(report["kv_bytes"]),
                "yes" if report["same_output"] else "NO",
            ]
        )
    return draw_table(header, rows)
