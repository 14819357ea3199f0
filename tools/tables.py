"""The tables of the pages: a small function each, which makes Markdown of the stored results.

What was measured on a CPU that is shared with others is shown as ratios within one run, counts and bytes.
"""

from statistics import median

from results import NOT_MEASURED, PageError, format_bytes, format_count, format_percent, format_ratio, three_digits

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


def ratio(value, base):
    """How many times `base` a value is; None where one of the two was not measured."""
    return None if value is None or base is None else format_ratio(value / base)


def growth(values):
    """How much larger the last tenth of a list is than the first, by their medians. What is at 0 is left out: the first
    step also warms the caches up, or is the prefill."""
    values = values[1:]
    tenth = max(1, len(values) // 10)
    return median(values[-tenth:]) / median(values[:tenth])


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


GROWTH = "time per token, last tenth against first tenth"


def rate_rows(report):
    """What was measured, as a multiple of what was predicted, for the two times that every chapter reports."""
    details = report["details"]
    first, rate = details["predicted_ttft_ms"], details["predicted_tokens_per_second"]
    return [
        ["time to first token, as a multiple of the predicted", "1×", ratio(report["ttft_ms"], first)],
        ["tokens/s after the first, as a multiple of the predicted", "1×", ratio(report["tokens_per_second"], rate)],
    ]


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


def share(value, base=1):
    """What part of `base` it is, as a percentage; None where one of them was not measured."""
    return None if value is None or base is None else format_percent(value / base)


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
    for name, counter in times:
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
    """What `bench_paged --device cuda` measures."""
    return time_ratios(results.load("paged_gpu.json"))


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


def benchmark_medians(report, counters=("tokens_per_second", "bytes_per_second")):
    """Of Google Benchmark's JSON: the median of each counter over the repetitions, by the benchmark's name. The file
    has the repetitions, their aggregates, or both."""
    values = {}
    for run in report["benchmarks"]:
        if run.get("aggregate_name", "median") != "median":
            continue
        for counter in counters:
            if counter in run:
                values.setdefault((run["run_name"].removesuffix("/real_time"), counter), []).append(run[counter])
    return {key: median(series) for key, series in values.items()}


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


# ---- on a GPU: bench/gpu/measure writes gpu.json ----


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


def draw_gpu_table(header, rows):
    return draw_table(header, rows) if rows else NOT_MEASURED


def model_name(row):
    return f"{row['model'].removeprefix('random:').removeprefix('models/')}, {row['dtype']}"


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
    return draw_gpu_table(["", "rate", "spread"], rows)


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
    return draw_gpu_table(header, rows)


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
    return draw_gpu_table(["model", "tokens", "tokens/s", "share of cuBLAS's rate", "spread"], rows)


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
    return draw_gpu_table(header, rows)


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
    return draw_gpu_table(["", "µs", "share of copy", "spread"], rows)


@table
def gpu_peer(results):
    """Chapter 2 beside transformers, in the same run, after as many tokens."""
    rows = []
    for peer in gpu_rows(results, "transformers_decode"):
        ours = gpu_row(results, "decode", **{key: peer[key] for key in ("model", "dtype", "context_len")})
        rows.append([model_name(peer), format_count(peer["context_len"]), format_rate(median_rate(peer)),
                     format_rate(median_rate(ours)), ratio(median_rate(ours), median_rate(peer))])  # fmt: skip
    header = ["model", "tokens before", "transformers, tokens/s", "chapter 2, tokens/s", "against it"]
    return draw_gpu_table(header, rows)


@table
def gpu_naive(results):
    """Chapters 1 and 2 on the embedded model."""
    rows = []
    for row in gpu_rows(results, "naive"):
        naive, cached = median_rate(row), median_rate(row, "cached_tokens_per_second")
        rows.append([model_name(row), format_count(row["tokens"]), format_rate(naive), format_rate(cached),
                     ratio(cached, naive)])  # fmt: skip
    return draw_gpu_table(["model", "tokens", "chapter 1, tokens/s", "chapter 2, tokens/s", "against chapter 1"], rows)


@table
def flash_traffic(results):
    """What chapter 4's steps move in global memory, as the simulator counts it, beside the formulas."""
    report = results.chapter(4)
    rows = []
    for kernel in report["details"]["kernels"] if report else []:
        if kernel["max_error"] is None:  # one that was only timed
            continue
        moved = [kernel[key] for key in ("predicted_bytes_read", "bytes_read", "predicted_bytes_written", "bytes_written")]
        shape = [format_count(kernel[key]) for key in ("n", "head_dim", "tile")]
        rows.append([f"`{kernel['name']}`", *shape, *(bytes and format_bytes(bytes) for bytes in moved)])
    header = ["", "N", "head_dim", "tile", "read, predicted", "read, counted", "written, predicted", "written, counted"]
    return draw_gpu_table(header, rows)


@table
def flash_dram(results):
    """What chapter 4's steps move between a GPU and its DRAM, as its profiler reads it, beside the least possible."""
    rows = []
    for row in gpu_rows(results, "dram"):
        moved = [row[key] for key in ("least_bytes_read", "dram_bytes_read", "least_bytes_written", "dram_bytes_written")]
        rows.append([f"`{row['step']}`", format_count(row["n"]), *map(format_bytes, moved)])
    header = ["", "N", "Q, K, V", "read from DRAM", "O", "written to DRAM"]
    return draw_gpu_table(header, rows)


@table
def flash_gpu(results):
    """Chapter 4's steps on a GPU beside PyTorch's attention, in 10¹² operations a second."""
    shape_keys = ("n", "head_dim", "causal")
    rates = {}
    for row in gpu_rows(results, "flash") + gpu_rows(results, "torch_attention"):
        rates.setdefault(tuple(row[key] for key in shape_keys), {})[row["step"]] = row["flops_per_second"] / 1e12
    steps = ["standard_attention", "flash_attention_1", "flash_attention_2", "pytorch_flash", "pytorch_cudnn"]
    rows = []
    for (n, head_dim, causal), of_step in sorted(rates.items(), key=lambda item: (item[0][1], item[0][2], item[0][0])):
        cells = [format_rate(of_step[step]) if step in of_step else "" for step in steps]
        against = ratio(of_step.get("flash_attention_2"), of_step.get("pytorch_flash"))
        rows.append([format_count(head_dim), "yes" if causal else "no", format_count(n), *cells, against])
    header = ["head_dim", "causal", "N", "standard", "flash 1", "flash 2", "PyTorch, flash", "PyTorch, cuDNN", "flash 2 against PyTorch's"]
    return draw_gpu_table(header, rows)


@table
def flash_decoding_gpu(results):
    """One query a sequence over all its keys, as a share of copy bandwidth."""
    copy = copy_rate(results)
    rows = []
    for row in gpu_rows(results, "flash_decoding"):
        where = f"in blocks of {row['block_size']}" if row["block_size"] else "contiguous"
        rows.append([format_count(row["num_seqs"]), format_count(row["n"]), where, three_digits(row["us"]["median"]),
                     share(row["bytes_per_second"], copy), spread(row["us"])])  # fmt: skip
    return draw_gpu_table(["sequences", "keys of each", "cache", "µs", "share of copy", "spread"], rows)


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
    return draw_gpu_table(header, rows)


def grouped_scores(results, kv_heads):
    """Perplexity of models that were converted and not trained on, by how."""
    scores = results.find(GROUPED, "details.conversions") or []
    return {score["pooling"]: score["perplexity"] for score in scores if score["kv_heads"] == kv_heads}


def format_perplexity(value):
    return None if value is None else f"{value:.2f}"


@table
def grouped_variants(results):
    """MHA, GQA and MQA of the stories model: what each keeps, and what it costs in quality."""
    rows = []
    for variant in results.find(GROUPED, "details.variants") or []:
        mean = grouped_scores(results, variant["kv_heads"]).get("mean")
        rows.append([f"{variant['name']}, {variant['kv_heads']}", format_count(variant["kv_bytes_per_token"]),
                     format_count(variant["predicted_largest_batch"]), format_count(variant["largest_batch"]),
                     format_perplexity(mean) if variant["uptrained"] else "", format_perplexity(variant["perplexity"]),
                     "yes" if variant["same_output"] else "NO"])  # fmt: skip
    header = ["KV heads", "KV bytes a token", "texts in the budget, predicted", "counted", "perplexity, converted",
              "perplexity", "same output as chapter 1"]  # fmt: skip
    return draw_gpu_table(header, rows)


@table
def grouped_conversions(results):
    """Three ways of making fewer heads."""
    ways = ["mean", "first", "random"]
    scores = results.find(GROUPED, "details.conversions") or []
    numbers = sorted({score["kv_heads"] for score in scores}, reverse=True)
    rows = [[format_count(n), *(format_perplexity(grouped_scores(results, n).get(way)) for way in ways)] for n in numbers]
    return draw_gpu_table(["KV heads", "mean of the group", "first of the group", "random"], rows)


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
    return draw_gpu_table(header, rows)


@table
def grouped_traffic(results):
    """What each way of reading shared keys moves in global memory, as the simulator counts it."""
    rows = []
    for kernel in results.find(GROUPED, "details.kernels") or []:
        moved = [kernel[key] for key in ("predicted_bytes_read", "bytes_read", "predicted_bytes_written", "bytes_written")]
        rows.append([f"`{kernel['name']}`", format_count(kernel["kv_heads"]), format_count(kernel["n"]),
                     *(bytes and format_bytes(bytes) for bytes in moved)])  # fmt: skip
    header = ["8 heads", "KV heads", "keys", "read, predicted", "read, counted", "written, predicted", "written, counted"]
    return draw_gpu_table(header, rows)


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
    return draw_gpu_table(header, lines)


@table
def grouped_decode_gpu(results):
    """Decode of llama-3-8b's shape with other numbers of key/value heads, beside the bytes."""
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
    return draw_gpu_table(header, lines)


# ---- chapter 7: who takes part in a step ----

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
    header = ["model", "batch", "ms a step", "time, batch of 1 = 1", "tokens/s", "operations a byte", "share of copy"]
    return draw_gpu_table(header, rows)


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
    return draw_gpu_table(["model", "schedule", "tokens/s", "against static", "steps", "idle slot-steps"], rows)


@table
def serving_peer(results):
    """Chapter 7 beside transformers' continuous batching, in the same run, on the same weights and requests."""
    rows = []
    for row in gpu_rows(results, "transformers_batching"):
        ours, theirs = median_rate(row, "ours"), median_rate(row, "theirs")
        rows.append([model_name(row), format_count(row["requests"]), format_rate(theirs), format_rate(ours),
                     ratio(ours, theirs), f"{row['same_texts']} of {row['requests']}"])  # fmt: skip
    header = ["model", "requests", "transformers, tokens/s", "chapter 7, tokens/s", "against it", "same texts"]
    return draw_gpu_table(header, rows)


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
    return draw_gpu_table(header, rows)


# ---- chapter 8 ----


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
    return draw_gpu_table(header, rows)
