"""Chapter 7's tables: who takes part in a step."""

from results import NOT_MEASURED, format_count, format_percent, three_digits
from tables.common import (
    benchmark_medians,
    copy_rate,
    draw_if_measured,
    draw_table,
    format_rate,
    gpu_row,
    gpu_rows,
    median_rate,
    model_name,
    ratio,
    share,
    table,
)

SCHEDULES = {"static": "static", "static_skipping": "static, padding skipped", "continuous": "continuous"}


@table
def serving_counts(results):
    """What depends on the flags alone: steps, slots and tokens of the program's own load."""
    report = results.chapter(7)
    if not report:
        return NOT_MEASURED
    details = report["details"]
    rows = []
    for key, name in SCHEDULES.items():
        run = details[key]
        rows.append([name, format_count(run["predicted_steps"]), format_count(run["steps"]),
                     share(run["idle_slot_steps"], run["slot_steps"]), format_count(run["tokens_computed"]),
                     format_count(run["tokens_padded"]), format_count(run["preemptions"])])  # fmt: skip
    header = [f"{details['requests']} requests, {details['num_slots']} slots", "steps, predicted", "steps",
              "idle slot-steps", "tokens computed", "for nobody", "preemptions"]  # fmt: skip
    return draw_table(header, rows)


@table
def serving_speed(results):
    """Speed and waiting of the program's own load, within one run: static batches as they were are 1."""
    report = results.chapter(7)
    if not report:
        return NOT_MEASURED
    details, rate = report["details"], "tokens_per_second"
    base, alone = details["static"], details["one_by_one"]
    rows = [["one by one", ratio(alone[rate], base[rate]), "", "", "", "", ""]]
    for key, name in SCHEDULES.items():
        run = details[key]
        predicted = ratio(run["predicted_tokens_per_second"], base["predicted_tokens_per_second"])
        waits = [ratio(run[wait], base[wait]) for wait in ("ttft_ms_p50", "ttft_ms_p99", "itl_ms_p50", "itl_ms_p99")]
        rows.append([name, ratio(run[rate], base[rate]), predicted, *waits])
    header = ["against static", "tokens/s", "predicted", "first token, p50", "first token, p99",
              "between tokens, p50", "between tokens, p99"]  # fmt: skip
    return draw_table(header, rows)


@table
def token_budgets(results):
    """Budgets and chunk sizes on one load: small ones protect latency, large ones throughput."""
    sweep = results.find("batching_sweep.json", "details.sweep")
    if not sweep:
        return NOT_MEASURED
    keys = ("tokens_per_second", "ttft_ms_p50", "ttft_ms_p99", "itl_ms_p50", "itl_ms_p99")
    base = sweep[0]["run"]
    rows = []
    for row in sweep:
        chunk = "any" if row["max_chunk"] is None else format_count(row["max_chunk"])
        rows.append([format_count(row["token_budget"]), chunk, format_count(row["run"]["steps"])]
                    + [ratio(row["run"][key], base[key]) for key in keys])  # fmt: skip
    header = ["budget", "chunk", "steps", "tokens/s", "first token, p50", "first token, p99", "between tokens, p50",
              "between tokens, p99"]  # fmt: skip
    return draw_table(header, rows)


@table
def batch_sizes(results):
    """What `bench_batching` measures: a decode step over batch sizes, against a batch of one."""
    report = results.load("batching.json")
    if not report:
        return NOT_MEASURED
    values = benchmark_medians(report, ["real_time", "tokens_per_second", "bytes_per_second", "flops_per_second", "intensity"])
    rows = []
    for name, counter in values:
        if counter != "real_time" or not name.startswith("step/"):
            continue
        _, shape, size = name.split("/")

        def value(what, of=name):
            return values[(of, what)]

        one, limit = f"step/{shape}/1", f"rates/{shape}"
        bound = max(value("bytes_per_second") / value("bytes_per_second", limit),
                    value("flops_per_second") / value("flops_per_second", limit))  # fmt: skip
        limited = "operations" if value("intensity") > value("intensity", limit) else "bytes"
        rows.append([shape, size, ratio(value("real_time"), value("real_time", one)),
                     ratio(value("tokens_per_second"), value("tokens_per_second", one)),
                     three_digits(value("intensity")), limited, format_percent(bound)])  # fmt: skip
    header = ["model", "batch", "time of a step", "tokens/s", "operations a byte", "bound by", "of that bound"]
    return draw_table(header, rows)


@table
def batch_sizes_gpu(results):
    """The same on a GPU, beside the time to move the step's bytes at the speed of a copy."""
    copy = copy_rate(results)
    rows = []
    for row in gpu_rows(results, "batch_sizes"):
        one = gpu_row(results, "batch_sizes", model=row["model"], dtype=row["dtype"], batch_size=1)
        ms = row["step_ms"]["median"]
        rows.append([model_name(row), format_count(row["batch_size"]), three_digits(ms),
                     ratio(ms, one["step_ms"]["median"]), format_rate(row["tokens_per_second"]),
                     three_digits(row["intensity"]), share(1000 * row["bytes"] / ms, copy)])  # fmt: skip
    for name, part in (results.load("gpu.json") or {}).get("parts", {}).items():
        if name.startswith("batch sizes, ") and part["not_measured"] and rows:
            rows.append([name.removeprefix("batch sizes, "), "", NOT_MEASURED, "", "", "", ""])
    header = ["model", "batch", "ms a step", "time, batch of 1 = 1", "tokens/s", "operations a byte", "share of copy"]
    return draw_if_measured(header, rows)


@table
def serving_gpu(results):
    """Schedules of one load on a GPU; one by one is chapter 2's decode."""
    rows = []
    for row in gpu_rows(results, "serving"):
        run = row["run"]
        which = {key: row[key] for key in ("model", "dtype")}
        base = gpu_row(results, "serving", schedule="static", **which)["run"]["tokens_per_second"]
        name = SCHEDULES.get(row["schedule"], "one by one")
        idle = share(run["idle_slot_steps"], run["slot_steps"]) if "steps" in run else ""
        steps = format_count(run["steps"]) if "steps" in run else ""
        rows.append([model_name(row), name, format_rate(run["tokens_per_second"]),
                     ratio(run["tokens_per_second"], base), steps, idle])  # fmt: skip
    return draw_if_measured(["model", "schedule", "tokens/s", "against static", "steps", "idle slot-steps"], rows)


@table
def serving_peer(results):
    """Chapter 7 beside transformers' continuous batching, in the same run, on the same weights and requests."""
    rows = []
    for row in gpu_rows(results, "transformers_batching"):
        ours, theirs = median_rate(row, "ours"), median_rate(row, "theirs")
        rows.append([model_name(row), format_count(row["requests"]), format_rate(theirs), format_rate(ours),
                     ratio(ours, theirs), f"{row['same_texts']} of {row['requests']}"])  # fmt: skip
    header = ["model", "requests", "transformers, tokens/s", "chapter 7, tokens/s", "against it", "same texts"]
    return draw_if_measured(header, rows)


@table
def gpu_few_rows(results):
    """A few rows times each matrix of the models, beside cuBLAS, and beside one row."""
    by_matrix = {}
    for row in gpu_rows(results, "few_rows"):
        by_matrix.setdefault((row["model"], row["layer"], row["dtype"]), {})[row["rows"]] = row
    rows = []
    for (model, layer, dtype), by_rows in by_matrix.items():
        one = gpu_row(results, "matvec", model=model, layer=layer, dtype=dtype)
        against = [ratio(by_rows[n]["cublas_us"]["median"], by_rows[n]["ours_us"]["median"]) for n in sorted(by_rows)]
        most = by_rows[max(by_rows)]["ours_us"]["median"]
        rows.append([f"{model}, {layer}, {dtype}", *against, ratio(most, one["ours_us"]["median"])])
    header = ["against cuBLAS", "2 rows", "4 rows", "8 rows", "time of 8, of 1 = 1"]
    return draw_if_measured(header, rows)


@table
def batch_flip(results):
    """How many texts say something else in a batch than alone, and the first case that was found."""
    rows = []
    for row in gpu_rows(results, "batch_flips"):
        example = row["example"]
        cells = ["", "", ""]
        if example:
            def choice(which):
                said = example[which]
                text = f" ({said['text'].strip()})" if said["text"].strip() else ""
                return f"{said['token_id']}{text}, {said['lead']:.4f}"

            cells = [format_count(example["index"] + 1), choice("alone"), choice("in_batch")]
        rows.append([model_name(row), f"{format_count(row['changed'])} of {format_count(row['texts'])}", *cells])
    header = ["model", "texts that changed", "first case: at its token", "alone: token, lead", "in the batch: token, lead"]
    return draw_if_measured(header, rows)
