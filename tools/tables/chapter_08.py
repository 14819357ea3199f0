"""Chapter 8's tables."""

from results import NOT_MEASURED, format_count, format_percent, format_ratio, three_digits
from tables.common import benchmark_medians, draw_if_measured, draw_table, gpu_rows, model_name, ratio, share, table


@table
def prompt_loads(results):
    """Chapter 8's loads: what was cached, and what it saved."""
    report = results.chapter(8)
    if not report:
        return NOT_MEASURED
    rows = []
    for load in report["details"]["loads"]:
        rows.append([
            load["name"], *(format_count(load[key]) for key in ("requests", "prompt_tokens")),
            *(share(load[key], load["prompt_tokens"]) for key in ("predicted_cached_tokens", "cached_tokens")),
            format_count(load["blocks_shared"]), format_count(load["evictions"]),
            ratio(load["ttft_ms_cold"], load["ttft_ms_warm"]), format_percent(load["price"]),
        ])  # fmt: skip
    header = ["load", "requests", "prompt tokens", "cached, predicted", "cached", "blocks shared at a time",
              "blocks evicted", "first token sooner by", "price, no cache 100%"]  # fmt: skip
    return draw_table(header, rows)


@table
def prompt_ttft(results):
    """Chapter 8's long prompt, cold and warm."""
    report = results.chapter(8)
    if not report:
        return NOT_MEASURED
    d = report["details"]
    prompt, cached = d["probe_prompt_tokens"], d["probe_cached_tokens"]
    at_most, predicted, measured = prompt / (prompt - cached), d["ttft_ratio_predicted"], d["ttft_ratio"]
    rows = [
        [f"first token after {format_count(prompt)} tokens, {format_count(cached)} of them cached, sooner by",
         *map(format_ratio, (at_most, predicted, measured))],
        ["time of a token after it, warm through cold", "", "1×", format_ratio(d["decode_time_ratio"])],
    ]  # fmt: skip
    return draw_table(["", "at most", "predicted", "measured"], rows)


@table
def prompt_price(results):
    """What chapter 8's loads cost by several price lists."""
    report = results.chapter(8)
    if not report:
        return NOT_MEASURED
    d = report["details"]
    tokens = [format_count(d[key]) for key in ("cached_tokens", "written_tokens", "fresh_tokens")]
    lists = [("write 1.25, read 0.1", "price"), ("write 2, read 0.1", "price_of_an_hour"),
             ("write 1, read 0.1", "price_with_free_writes")]  # fmt: skip
    rows = [[name, *tokens, format_percent(d[key])] for name, key in lists]
    return draw_table(["price list", "cached", "written", "fresh", "price, no cache 100%"], rows)


@table
def prompt_upkeep(results):
    """What `bench_prefix` measures: the host's work for the tokens that a hit saves, beside their forward pass."""
    report = results.load("prefix.json")
    if not report:
        return NOT_MEASURED
    times = benchmark_medians(report, ["real_time"])
    compute = times.get(("compute/448", "real_time"))
    rows = []
    for name in ("hash", "match", "record and forget"):
        time = times.get((f"{name}/448", "real_time"))
        rows.append([name, None if time is None or compute is None else f"1 / {format_count(round(compute / time))}"])
    return draw_table(["448 tokens", "of the time to compute them"], rows)


@table
def gpu_prompt_cache(results):
    """Chapter 8's long prompts, cold and warm."""
    rows = []
    for row in gpu_rows(results, "prompt_cache"):
        prompt, cached = row["prompt_len"], row["cached_tokens"]
        cold, warm = (row[key]["median"] for key in ("cold_ttft_ms", "warm_ttft_ms"))
        rows.append([model_name(row), format_count(prompt), format_count(cached), three_digits(cold),
                     three_digits(warm), format_ratio(prompt / (prompt - cached)), format_ratio(cold / warm),
                     ratio(row["warm_step_ms"]["median"], row["cold_step_ms"]["median"])])  # fmt: skip
    header = ["model", "tokens", "cached", "first token, cold, ms", "warm, ms", "sooner by, at most", "measured",
              "a later token, warm through cold"]  # fmt: skip
    return draw_if_measured(header, rows)
