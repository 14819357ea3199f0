"""Chapter 6's tables."""

from results import NOT_MEASURED, format_count
from tables.common import benchmark_medians, draw_if_measured, gpu_rows, model_name, ratio, share, table, two_digits


@table
def speculative_k(results):
    """Drafts of 1 to 8 tokens on one text, greedy, against chapter 2 in the same process."""
    report = results.chapter(6)
    rows = []
    for row in report["details"]["by_k"] if report else []:
        rows.append([
            format_count(row["k"]), share(row["acceptance"]), two_digits(row["tokens_per_round"]),
            two_digits(row["cost_ratio"]), two_digits(row["verify_ratio"]), ratio(row["speedup_predicted"]), ratio(row["speedup"]),
        ])  # fmt: skip
    header = ["k", "accepted, of the judged", "tokens a round", "c", "v", "speed-up, predicted", "measured"]
    return draw_if_measured(header, rows)


@table
def speculative_positions(results):
    """How often the token at each place of a draft was accepted."""
    report = results.chapter(6)
    shares = report["details"]["acceptance_by_position"] if report else []
    rows = [[str(place), share(accepted)] for place, accepted in enumerate(shares, 1)]
    return draw_if_measured(["place in the draft", "accepted, of all rounds"], rows)


@table
def speculative_sweep(results):
    """The best k for each drafter, temperature and number of texts: what `./run 6 --sweep --json` writes."""
    rows = []
    for entry in results.find("speculative_sweep.json", "details.sweep") or []:
        best = max(entry["by_k"], key=lambda row: row["speedup"] or 0.0)
        rows.append([
            entry["drafter"], f"{entry['temperature']:g}", format_count(entry["texts"]), format_count(best["k"]),
            share(best["acceptance"]), two_digits(best["verify_ratio"]), ratio(best["speedup_predicted"]), ratio(best["speedup"]),
        ])  # fmt: skip
    header = ["drafter", "temperature", "texts at once", "best k", "accepted", "v", "speed-up, predicted", "measured"]
    return draw_if_measured(header, rows)


@table
def speculative_repetition(results):
    """Lookup on a text that repeats itself: what the page's command with `--draft ngram` and --json writes."""
    rows = []
    for row in results.find("speculative_ngram.json", "details.by_k") or []:
        rows.append([format_count(row["k"]), share(row["acceptance"]), two_digits(row["tokens_per_round"]),
                     two_digits(row["verify_ratio"]), ratio(row["speedup_predicted"]), ratio(row["speedup"])])  # fmt: skip
    header = ["k", "accepted, of the judged", "tokens a round", "v", "speed-up, predicted", "measured"]
    return draw_if_measured(header, rows)


@table
def verify_cost(results):
    """What several rows cost, in passes of one: `bench_chapters`."""
    report = results.load("speed.json")
    if not report:
        return NOT_MEASURED
    rates = benchmark_medians(report, ["tokens_per_second"])
    sizes = (2, 3, 4, 5, 7, 9)
    rows = []
    for prefix, what in (("", "ours"), ("openblas_", "products by OpenBLAS")):
        for model in ("stories/f32", "llama2c-15m/f32", "llama2c-110m/f32"):
            one = rates.get((f"{prefix}decode/{model}", "tokens_per_second"))
            several = [rates.get((f"{prefix}verify{n}/{model}", "tokens_per_second")) for n in sizes]
            if one is None or None in several:
                continue
            rows.append([f"{model.removesuffix('/f32')}, {what}", *(f"{n * one / rate:.2f}" for n, rate in zip(sizes, several))])
    return draw_if_measured(["v of so many rows"] + [str(n) for n in sizes], rows)


@table
def speculation_gpu(results):
    """Rounds of models of real shapes on a GPU, acceptance simulated."""
    rows = []
    for row in gpu_rows(results, "speculation"):
        if row["k"] not in (2, 4, 8):
            continue
        draft = row["draft_model"].removeprefix("random:").removeprefix("models/")
        rows.append([f"{model_name(row)}, with {draft}", f"{row['simulated_acceptance']:g}", format_count(row["k"]),
                     two_digits(row["cost_ratio"]), two_digits(row["verify_ratio"]), ratio(row["speedup_predicted"]),
                     ratio(row["speedup"])])  # fmt: skip
    header = ["model", "simulated acceptance", "k", "c", "v", "speed-up, predicted", "measured"]
    return draw_if_measured(header, rows)
