"""Chapter 2's tables."""

from results import NOT_MEASURED, format_bytes, format_count, format_percent, format_ratio, three_digits
from tables.common import (
    GROWTH,
    benchmark_medians,
    copy_rate,
    draw_if_measured,
    draw_table,
    format_rate,
    gpu_row,
    gpu_rows,
    growth,
    median_rate,
    model_name,
    rate_rows,
    ratio,
    share,
    spread,
    table,
)


@table
def measured_cached(results):
    naive, report = results.chapter(1), results.chapter(2)
    if not naive or not report:
        return NOT_MEASURED
    details = report["details"]
    prompt, generated = report["prompt_tokens"], len(report["token_ids"])
    slots = prompt + details["settings"]["max_tokens"]
    used = prompt + generated - 1
    rate = "predicted_tokens_per_second"
    rows = [
        ["token passes", format_count(used), format_count(details["token_passes_cached"])],
        [GROWTH, "1×", format_ratio(growth(details["step_ms"]))],
        ["tokens/s against chapter 1", ratio(details[rate], naive["details"][rate]),
         ratio(report["tokens_per_second"], naive["tokens_per_second"])],
        ["KV bytes reserved", format_bytes(details["kv_bytes_per_token"] * slots), format_bytes(report["kv_bytes"])],
        ["of them used at the end", "", f"{format_percent(used / slots)} ({used} of {slots} tokens)"],
    ]  # fmt: skip
    return draw_table(["", "predicted", "measured"], rows + rate_rows(report))


@table
def kv_cost(results):
    """What the cache costs in models that are in use, as chapter 2's program computed it."""
    report = results.chapter(2)
    models = report and report["details"].get("real_models")
    if not models:
        return NOT_MEASURED
    header = ["bf16", "layers", "KV heads", "head_dim", "bytes a token", "4,096 tokens", "131,072 tokens"]
    rows = []
    for model in models:
        token = model["kv_bytes_per_token"]
        sizes = [str(model[key]) for key in ("layers", "kv_heads", "head_dim")]
        bytes_of = [format_bytes(length * token) for length in (4096, 131072)]
        rows.append([model["name"], *sizes, format_count(token), *bytes_of])
    return draw_table(header, rows)


@table
def speed(results):
    """Decode and prefill of models of several sizes, against what bounds them and against peers in the same run."""
    report = results.load("speed.json")
    if not report:
        return NOT_MEASURED
    medians = benchmark_medians(report)

    def against(name, other, counter="tokens_per_second"):
        value, base = medians.get((name, counter)), medians.get((other, counter))
        return None if value is None or base is None else value / base

    def cell(form, value):
        return "" if value is None else form(value)

    rows = []
    for name, counter in sorted(medians, reverse=True):  # f32 before bf16
        what, _, model = name.partition("/")
        if what != "decode" or counter != "tokens_per_second":
            continue
        shape, _, dtype = model.partition("/")
        rows.append(
            [
                f"{shape}, {dtype}",
                cell(format_percent, against(name, f"read/{model}", "bytes_per_second")),
                cell(format_ratio, against(name, f"decode/{shape}/f32")),
                cell(format_ratio, against(f"prefill/{model}", name)),
                cell(format_ratio, against(name, f"openblas_decode/{model}")),
                cell(format_ratio, against(f"prefill/{model}", f"openblas_prefill/{model}")),
            ]
        )
    header = ["model", "decode: share of reading speed", "decode, against f32", "prefill tokens/s against decode",
              "decode against OpenBLAS", "prefill against OpenBLAS"]  # fmt: skip
    return draw_table(header, rows)


@table
def gpu_aims(results):
    """What was aimed at on an H200 before anything was measured, and what came out."""
    rows = []
    for model, aim in (("random:llama-3-8b", 240), ("random:llama-3.2-1b", 1200)):
        decode = gpu_row(results, "decode", model=model, dtype="bf16")
        what = f"{model.removeprefix('random:')}, bf16, tokens/s of one text"
        rows.append([what, f"{aim:,}", format_rate(median_rate(decode))])
    down = gpu_row(results, "matvec", out_features=4096, in_features=14336, dtype="bf16")
    measured = share(down and down["bytes_per_second"], copy_rate(results))
    rows.append(["one row times 4096×14336, bf16, share of copy bandwidth", "85%", measured])
    return draw_table(["", "aimed at, on an H200", "measured"], rows)


@table
def gpu_memory(results):
    """What bounds all the rest."""
    rows = [[row["what"], f"{format_bytes(row['bytes_per_second'])}/s", spread(row["us"])]
            for row in gpu_rows(results, "memory")]  # fmt: skip
    for row in gpu_rows(results, "matrix"):
        if row["model"] == "square":
            rate = f"{three_digits(row['cublas_flops_per_second'] / 1e12)} TFLOP/s"
            rows.append([f"cuBLAS, {row['dtype']}, {row['rows']:,}³", rate, spread(row["cublas_us"])])
    return draw_if_measured(["", "rate", "spread"], rows)


@table
def gpu_decode(results):
    """Chapter 2's decode beside the time to move its bytes at the speed of a copy."""
    copy = copy_rate(results)
    rows = []
    for row in gpu_rows(results, "decode"):
        rate, bound = median_rate(row), copy and copy / row["bytes_per_token"]
        rows.append([model_name(row), format_count(row["context_len"]), format_rate(bound), format_rate(rate),
                     share(rate, bound), spread(row["tokens_per_second"])])  # fmt: skip
    header = ["model", "tokens before", "bound, tokens/s", "measured, tokens/s", "share of the bound", "spread"]
    return draw_if_measured(header, rows)


@table
def gpu_prefill(results):
    """A prompt at once, beside the time of its operations at cuBLAS's rate."""
    squares = [row for row in gpu_rows(results, "matrix") if row["model"] == "square"]
    rates = {row["dtype"]: row["cublas_flops_per_second"] for row in squares}
    rows = []
    for row in gpu_rows(results, "prefill"):
        seconds = row["ttft_ms"]["median"] / 1000
        rows.append([model_name(row), format_count(row["prompt_len"]), format_rate(row["tokens_per_second"]),
                     share(row["flops"] / seconds, rates.get(row["dtype"])), spread(row["ttft_ms"])])  # fmt: skip
    return draw_if_measured(["model", "tokens", "tokens/s", "share of cuBLAS's rate", "spread"], rows)


@table
def gpu_matvec(results):
    """One row times each matrix of the models, as a share of copy bandwidth, beside cuBLAS."""
    copy = copy_rate(results)
    rows = []
    for row in gpu_rows(results, "matvec"):
        shape = f"{row['out_features']:,}×{row['in_features']:,}"
        rows.append([f"{row['model']}, {row['layer']}, {row['dtype']}", shape,
                     share(row["bytes_per_second"], copy), share(row["cublas_bytes_per_second"], copy),
                     ratio(row["cublas_us"]["median"], row["ours_us"]["median"]), spread(row["ours_us"])])  # fmt: skip
    header = ["matrix", "shape", "share of copy", "cuBLAS's", "speed against cuBLAS", "spread"]
    return draw_if_measured(header, rows)


@table
def gpu_operators(results):
    """The other operators, one token each."""
    copy = copy_rate(results)
    rows = []
    for row in gpu_rows(results, "attention"):
        what = f"attention to {row['context_len']:,} keys, {row['model']}"
        rows.append([what, three_digits(row["us"]["median"]), share(row["bytes_per_second"], copy), spread(row["us"])])
    for row in gpu_rows(results, "operators"):
        rows.append([f"{row['name']}, {row['model']}", three_digits(row["us"]["median"]), "", spread(row["us"])])
    return draw_if_measured(["", "µs", "share of copy", "spread"], rows)


@table
def gpu_peer(results):
    """Chapter 2 beside transformers, in the same run, after as many tokens."""
    rows = []
    for peer in gpu_rows(results, "transformers_decode"):
        ours = gpu_row(results, "decode", **{key: peer[key] for key in ("model", "dtype", "context_len")})
        rows.append([model_name(peer), format_count(peer["context_len"]), format_rate(median_rate(peer)),
                     format_rate(median_rate(ours)), ratio(median_rate(ours), median_rate(peer))])  # fmt: skip
    header = ["model", "tokens before", "transformers, tokens/s", "chapter 2, tokens/s", "against it"]
    return draw_if_measured(header, rows)
