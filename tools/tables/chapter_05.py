"""Chapter 5's tables."""

from results import format_bytes, format_count, three_digits
from tables.common import copy_rate, draw_if_measured, format_rate, gpu_row, gpu_rows, ratio, share, table, two_digits

GROUPED = "grouped_sweep.json"  # what `./run 5 --sweep --json` writes


@table
def grouped_models(results):
    """How models that are in use share their heads, as chapter 5's program computed it from their configs."""
    rows = []
    for model in results.find(GROUPED, "details.real_models") or []:
        group, bytes = model["heads"] // model["kv_heads"], model["kv_bytes_per_token"]
        shape = [format_count(model[key]) for key in ("layers", "heads", "kv_heads")]
        rows.append([model["name"], model["sharing"], *shape, format_count(model["head_dim"]), format_count(bytes),
                     format_count(group * bytes)])  # fmt: skip
    header = ["bf16", "", "layers", "heads", "KV heads", "head_dim", "bytes a token", "with a KV head for each head"]
    return draw_if_measured(header, rows)


def grouped_scores(results, kv_heads):
    """Perplexity of models that were converted and not trained on, by how."""
    scores = results.find(GROUPED, "details.conversions") or []
    return {score["pooling"]: score["perplexity"] for score in scores if score["kv_heads"] == kv_heads}


@table
def grouped_variants(results):
    """MHA, GQA and MQA of the stories model: what each keeps, and what it costs in quality."""
    rows = []
    for variant in results.find(GROUPED, "details.variants") or []:
        mean = grouped_scores(results, variant["kv_heads"]).get("mean")
        rows.append([f"{variant['name']}, {variant['kv_heads']}", format_count(variant["kv_bytes_per_token"]),
                     format_count(variant["predicted_largest_batch"]), format_count(variant["largest_batch"]),
                     two_digits(mean) if variant["uptrained"] else "", two_digits(variant["perplexity"]),
                     "yes" if variant["same_output"] else "NO"])  # fmt: skip
    header = ["KV heads", "KV bytes a token", "texts in the budget, predicted", "counted", "perplexity, converted",
              "perplexity", "same output as chapter 1"]  # fmt: skip
    return draw_if_measured(header, rows)


@table
def grouped_conversions(results):
    """Three ways of making fewer heads."""
    ways = ["mean", "first", "random"]
    scores = results.find(GROUPED, "details.conversions") or []
    numbers = sorted({score["kv_heads"] for score in scores}, reverse=True)
    rows = [[format_count(n), *(two_digits(grouped_scores(results, n).get(way)) for way in ways)] for n in numbers]
    return draw_if_measured(["KV heads", "mean of the group", "first of the group", "random"], rows)


@table
def grouped_decode(results):
    """Tokens/s of GQA and MQA against MHA at each length and batch size, beside the roofline's ratio."""
    variants = results.find(GROUPED, "details.variants") or []
    rows = []
    for i, point in enumerate(variants[0]["decode"] if variants else []):
        cells = [format_count(point["context_len"]), format_count(point["batch"])]
        for variant in variants[1:]:
            other = variant["decode"][i]
            cells += [ratio(other[key], point[key]) for key in ("predicted_tokens_per_second", "tokens_per_second")]
        rows.append(cells)
    header = ["tokens of each text", "texts"]
    for variant in variants[1:]:
        header += [f"{variant['name']} against MHA, predicted", "measured"]
    return draw_if_measured(header, rows)


@table
def grouped_traffic(results):
    """What each way of reading shared keys moves in global memory, as the simulator counts it."""
    rows = []
    for kernel in results.find(GROUPED, "details.kernels") or []:
        moved = [kernel[key] for key in ("predicted_bytes_read", "bytes_read", "predicted_bytes_written", "bytes_written")]
        rows.append([f"`{kernel['name']}`", format_count(kernel["kv_heads"]), format_count(kernel["n"]),
                     *(bytes and format_bytes(bytes) for bytes in moved)])  # fmt: skip
    header = ["8 heads", "KV heads", "keys", "read, predicted", "read, counted", "written, predicted", "written, counted"]
    return draw_if_measured(header, rows)


@table
def grouped_attention_gpu(results):
    """The same on a GPU, with the shapes of llama-3-8b and both ends."""
    rows = gpu_rows(results, "grouped_attention")
    times = {}
    for row in rows:
        times.setdefault((row["kv_heads"], row["num_seqs"], row["n"]), {})[row["step"]] = row
    lines = []
    for (kv_heads, num_seqs, n), of_step in times.items():
        us = {step: row["us"]["median"] for step, row in of_step.items()}
        tensor = of_step.get("tensor")
        lines.append([format_count(kv_heads), format_count(num_seqs), format_count(n),
                      *(three_digits(us[step]) if step in us else None for step in ("expanded", "per_head", "grouped", "tensor")),
                      ratio(us.get("expanded"), us.get("tensor")),
                      share(tensor and tensor["bytes_per_second"], copy_rate(results))])  # fmt: skip
    header = ["KV heads of 32", "texts", "keys of each", "expanded, µs", "per_head, µs", "grouped, µs", "tensor, µs",
              "tensor against expanded", "tensor: share of copy"]  # fmt: skip
    return draw_if_measured(header, lines)


@table
def grouped_decode_gpu(results):
    """Decode of llama-3-8b's shape with other numbers of KV heads, beside the bytes."""
    rows = gpu_rows(results, "grouped_decode")
    copy = copy_rate(results)
    lines = []
    for row in rows:
        base = gpu_row(results, "grouped_decode", kv_heads=row["heads"], context_len=row["context_len"], batch=row["batch"])
        bound = copy and copy / row["bytes_per_token"]
        lines.append([format_count(row["kv_heads"]), format_count(row["batch"]), format_count(row["context_len"]),
                      format_rate(bound), format_rate(row["tokens_per_second"]), share(row["tokens_per_second"], bound),
                      ratio(base and base["bytes_per_token"], row["bytes_per_token"]),
                      ratio(row["tokens_per_second"], base and base["tokens_per_second"])])  # fmt: skip
    header = ["KV heads of 32", "texts", "tokens of each", "bound, tokens/s", "measured", "share of the bound",
              "against 32, predicted", "against 32"]  # fmt: skip
    return draw_if_measured(header, lines)
