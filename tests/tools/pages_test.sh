#!/usr/bin/env bash
# tools/pages.py on a small made-up project, and on pages with one mistake each.
set -euo pipefail
root=$1
. "$root/tests/tools/expect.sh"
skip_without_python
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/docs" "$tree/bench/results" "$tree/src"

pages() { python3 "$root/tools/pages.py" "$1" "$tree"; }
page() { printf '%s\n' "$@" >"$tree/docs/page.md"; }
# changed FILE SED: the file with something changed in it.
changed() { sed -i "$2" "$tree/$1"; }

cat >"$tree/src/a.cpp" <<'TEXT'
int one() {
  // region: body
  const int x = 1;
  if (x) {
    return x;
  }
  // endregion
}
TEXT
cat >"$tree/bench/results/ladder.json" <<'TEXT'
{"machine": {"processor": "a processor"}, "chapters": [
  {"chapter": 1, "technique": "slow", "prompt_tokens": 2, "token_ids": [1, 2, 3], "ttft_ms": 2, "tokens_per_second": 4,
   "kv_bytes": 0, "same_output": true, "nothing": null,
   "details": {"token_passes": 5150, "token_passes_needed": 101, "step_ms": [2.0, 4.0, 6.0]}},
  {"chapter": 2, "technique": "fast", "prompt_tokens": 2, "token_ids": [1, 2, 3], "ttft_ms": 1, "tokens_per_second": 50,
   "kv_bytes": 20480, "same_output": true, "details": {"step_ms": [2.0, 1.0, 1.0]}}]}
TEXT

# number EXPRESSION TEXT: what a number becomes.
number() {
  page "x <!-- number: ladder.json $1 --><!-- /number -->"
  expect "number $1" 0 "changed: " pages update
  expect "number $1" 0 "-->$2<!--" cat "$tree/docs/page.md"
  expect "number $1, once more" 0 "nothing has changed" pages update
  expect "number $1, checked" 0 "are as their sources" pages check
}
number 'chapters[0].details.token_passes | count' 5,150
number 'chapters[chapter=2].kv_bytes | bytes' '20.5 kB'
number 'chapters[0].details.token_passes_needed / chapters[0].details.token_passes | percent' 1.96%
number 'last(chapters[0].details.step_ms) / median(chapters[1].details.step_ms) | ratio' 6.00×
number 'len(chapters[0].token_ids) | count' 3
number 'machine.processor | text' 'a processor'
number 'chapters[0].nothing | count' 'not measured'
number 'chapters[chapter=3].kv_bytes | bytes' 'not measured'

page 'x <!-- number: absent.json a.b | count --><!-- /number -->' '<!-- code: bench/results/absent.txt -->' '<!-- /code -->'
expect "files that are not there yet" 0 "changed: " pages update
expect "files that are not there yet" 0 "-->not measured<!--" cat "$tree/docs/page.md"

page '<!-- code: src/a.cpp body -->' '<!-- /code -->' '' '<!-- code: src/a.cpp -->' '<!-- /code -->' '' \
  '<!-- table: ladder -->' '<!-- /table -->' '' '<!-- plot: time_per_token -->' '<!-- /plot -->'
expect "code, table and plot" 0 "changed: docs/results/time-per-token.svg, docs/page.md" pages update
output=$(cat "$tree/docs/page.md")
for text in $'```cpp\nconst int x = 1;\nif (x) {\n  return x;\n}\n```' '[`src/a.cpp`](../src/a.cpp)' \
  '| 1 slow | 1.00× |  | 1.00× | 0 B | yes |' '| 2 fast | 12.5× | 12.5× | 0.50× | 20.5 kB | yes |' '![Time per token against its position, chapters 1 and 2](results/time-per-token.svg)'; do
  if [[ $output != *"$text"* ]]; then
    printf 'FAILED: the page lacks\n%s\n' "$text"
    failures=$((failures + 1))
  fi
done
refuse "whole file" "region"
cp "$tree/docs/page.md" "$tree/right.txt"

cat >"$tree/src/b.cpp" <<'TEXT'
// region: body
const int x = 1;
if (x > 0) {
  return x;
}
// endregion
TEXT
page '<!-- difference: src/a.cpp body to src/b.cpp body -->' '<!-- /difference -->'
expect "difference" 0 "docs/page.md" pages update
expect "difference" 0 $'[`src/a.cpp`](../src/a.cpp) → [`src/b.cpp`](../src/b.cpp)\n\n```diff\n const int x = 1;\n-if (x) {\n+if (x > 0) {\n   return x;\n }\n```' \
  cat "$tree/docs/page.md"
expect "difference, once more" 0 "nothing has changed" pages update
changed src/b.cpp 's/x > 0/x < 0/'
expect "a difference that changed" 1 "difference src/a.cpp body to src/b.cpp body is out of date" pages check
rm "$tree/src/b.cpp"
cp "$tree/right.txt" "$tree/docs/page.md"

# What drifts is named with its line, and update mends it.
drift() {
  expect "$1" 1 "$2" pages check
  expect "$1, mended" 0 "changed: docs" pages update
  expect "$1, mended" 0 "are as their sources" pages check
}
changed src/a.cpp 's/x = 1/x = 2/'
drift "code that changed" "docs/page.md:1: code src/a.cpp body is out of date"
changed docs/page.md 's/12.5×/13.5×/'
drift "a table edited by hand" "table ladder is out of date"
changed bench/results/ladder.json 's/4.0, 6/5.0, 6/'
drift "a plot whose results changed" "docs/results/time-per-token.svg: is not what its results give"
changed docs/results/time-per-token.svg 's/chapter 2/chapter 3/'
drift "a plot edited by hand" "docs/results/time-per-token.svg: is not what its results give"
touch "$tree/docs/results/other.svg"
drift "a plot of no page" "docs/results/other.svg: is no page's plot"
page 'x <!-- number: ladder.json chapters[0].kv_bytes | count -->7<!-- /number -->'
drift "a number edited by hand" 'docs/page.md:1: number ladder.json chapters[0].kv_bytes | count is "7", but should be "0"'

# mistake TEXT LINE...: a page of these lines has a mistake that neither command overlooks.
mistake() {
  local text=$1
  shift
  page "$@"
  expect "mistake: $*" 1 "$text" pages check
  expect "mistake: $*" 1 "$text" pages update
}
mistake 'docs/page.md:2: ladder.json has no token_pass' 'a' 'x <!-- number: ladder.json chapters[0].details.token_pass | count --><!-- /number -->'
mistake 'was not measured on a GPU' 'x <!-- number: ladder.json chapters[0].ttft_ms | ms --><!-- /number -->'
mistake 'there is no format color' 'x <!-- number: ladder.json chapters[0].ttft_ms | color --><!-- /number -->'
mistake 'there is no function mean' 'x <!-- number: ladder.json mean(chapters[0].details.step_ms) | ratio --><!-- /number -->'
mistake 'ends the paragraph' '<!-- number: ladder.json chapters[0].kv_bytes | count -->0<!-- /number -->'
mistake 'is not closed' 'x <!-- number: ladder.json chapters[0].kv_bytes | count -->0'
mistake 'is not closed' '<!-- table: ladder -->' 'x <!-- number: ladder.json chapters[0].kv_bytes | count -->0<!-- /number -->' '<!-- /table -->'
mistake 'has 0 regions tail' '<!-- code: src/a.cpp tail -->' '<!-- /code -->'
mistake 'there is no file src/b.cpp' '<!-- code: src/b.cpp -->' '<!-- /code -->'
mistake 'there is no table other' '<!-- table: other -->' '<!-- /table -->'
mistake 'there is no plot other' '<!-- plot: other -->' '<!-- /plot -->'
mistake 'docs/page.md:1: the link to b.md leads nowhere' '[b](b.md)'
mistake 'the link to drawings/no.svg leads nowhere' '![b](drawings/no.svg)'
mistake 'leads out of the project' '[b](../../)'
mistake 'has no heading #beta' '# Alpha' '[b](#beta)'

page '# One & two: `three`' '[a](#one--two-three) [b](page.md#one--two-three) [c](https://example.org/x)' '`[d](nowhere)`' \
  '```' '[e](nowhere)' '```'
expect "links that are right" 0 "are as their sources" pages check

mistake 'is not FILE REGION to FILE REGION' '<!-- difference: src/a.cpp body -->' '<!-- /difference -->'
mistake 'there is no file src/b.cpp' '<!-- difference: src/a.cpp body to src/b.cpp body -->' '<!-- /difference -->'

# The first use of a glossary's term in a page's words leads there.
printf '# Glossary\n\n### %s\n' Head 'KV head' Top-k bf16 >"$tree/docs/glossary.md"
# first_use TEXT LINE...: in a page of these lines TEXT is a use without its link; "" where there is none.
first_use() {
  local text=$1
  shift
  page '# A head' '' 'Head.' '' '## One' '' "$@"
  if [[ -n $text ]]; then
    expect "first use: $*" 1 "docs/page.md:7: \"$text\" is this page's first use of a term" pages check
  else
    expect "first use: $*" 0 "are as their sources" pages check
  fi
}
first_use heads 'Two heads.'
first_use Heads 'Heads.' '' '[heads](glossary.md#head).'
first_use '' '[heads](glossary.md#head), and a head.'
first_use '' '`head`, ahead, head-on, head_dim, Head2'
first_use '' '| head |' '' '```' 'head' '```' '' '## Papers' '' 'A head.'
first_use 'KV heads' 'KV heads.'
first_use '' 'A [KV head](glossary.md#kv-head) is a head.'
first_use 'KV head' 'A [head](glossary.md#head), a KV' 'head.'
first_use top-k 'top-k'
page '# A' '' '## B' '' 'All of these words together need more than one line, for there are links in it to be added: top-k, a KV head, a head.'
expect "links written in" 0 "docs/page.md: look at git diff" pages link
expect "links written in" 0 $'[top-k](glossary.md#top-k),\na [KV head](glossary.md#kv-head), a head.' cat "$tree/docs/page.md"
expect "links written in, checked" 0 "are as their sources" pages check
rm "$tree/docs/glossary.md"

# benchmarks RUN...: a file as Google Benchmark writes it.
benchmarks() {
  local IFS=,
  printf '{"benchmarks": [%s]}' "$*" >"$tree/bench/results/speed.json"
}
# benchmark NAME RATE [MORE]: one of its runs.
benchmark() { printf '{"run_name": "%s/real_time", "tokens_per_second": %s%s}' "$1" "$2" "${3-}"; }
page '<!-- table: speed -->' '<!-- /table -->'
benchmarks "$(benchmark decode/m/f32 9)" "$(benchmark decode/m/f32 20)" "$(benchmark decode/m/f32 10)" \
  "$(benchmark prefill/m/f32 40)"
expect "a benchmark's repetitions" 0 "changed: " pages update
expect "a benchmark's repetitions" 0 "| m, f32 |  | 1.00× | 4.00× |  |  |" cat "$tree/docs/page.md"
benchmarks "$(benchmark decode/m/bf16 30 ', "aggregate_name": "median"')" \
  "$(benchmark decode/m/f32 9 ', "aggregate_name": "mean"')" "$(benchmark decode/m/f32 10 ', "aggregate_name": "median"')"
expect "a benchmark's aggregates" 0 "changed: " pages update
expect "a benchmark's aggregates" 0 $'| m, f32 |  | 1.00× |  |  |  |\n| m, bf16 |  | 3.00× |  |  |  |' cat "$tree/docs/page.md"
benchmarks "$(benchmark decode/m/f32 9 ', "aggregate_name": "mean"')"
expect "no row for a table" 1 "no row for the table of model" pages check

# What was measured on a GPU, before it was, in part, and in full.
gpu_tables=(gpu_aims gpu_memory gpu_decode gpu_prefill gpu_matvec gpu_operators gpu_peer gpu_naive flash_gpu
  flash_decoding_gpu gpu_few_rows batch_sizes_gpu)
mapfile -t lines < <(for name in "${gpu_tables[@]}"; do printf '<!-- table: %s -->\n<!-- /table -->\n\n' "$name"; done)
page "${lines[@]}" 'x <!-- number: gpu.json machine.gpu | text --><!-- /number -->'
expect "no GPU yet" 0 "changed: docs/page.md" pages update
for text in '| llama-3-8b, bf16, tokens/s of one text | 240 | not measured |' '| 85% | not measured |' \
  $'<!-- table: gpu_decode -->\nnot measured\n<!-- /table -->' 'text -->not measured<!--'; do
  expect "no GPU yet" 0 "$text" cat "$tree/docs/page.md"
done
expect "no GPU yet, checked" 0 "are as their sources" pages check
echo '{"machine": {"gpu": "a GPU"}, "memory": [], "decode": [{"model": "random:llama-3-8b", "dtype": "bf16",
  "context_len": 128, "bytes_per_token": 4, "tokens_per_second": {"median": 210, "min": 199.5, "max": 210}}]}' \
  >"$tree/bench/results/gpu.json"
expect "a part that was measured" 0 "changed: docs/page.md" pages update
for text in '| 240 | 210 |' '| 1,200 | not measured |' '| llama-3-8b, bf16 | 128 | not measured | 210 | not measured | 5.00% |' \
  $'<!-- table: gpu_matvec -->\nnot measured' 'text -->a GPU<!--'; do
  expect "a part that was measured" 0 "$text" cat "$tree/docs/page.md"
done
cat >"$tree/bench/results/gpu.json" <<'TEXT'
{"machine": {"gpu": "a GPU"},
 "memory": [{"what": "copy", "bytes_per_second": 4e12, "us": {"median": 10, "min": 9, "max": 10}}],
 "matrix": [{"model": "square", "dtype": "bf16", "rows": 8192, "cublas_flops_per_second": 8e14,
   "cublas_us": {"median": 10, "min": 10, "max": 11}}],
 "matvec": [{"model": "llama-3-8b", "layer": "down", "dtype": "bf16", "out_features": 4096, "in_features": 14336,
   "bytes_per_second": 3e12, "cublas_bytes_per_second": 2e12, "ours_us": {"median": 2, "min": 2, "max": 2},
   "cublas_us": {"median": 3}}],
 "parts": {"memory": {"not_measured": null}, "batch sizes, m": {"not_measured": null},
   "batch sizes, llama-3-8b": {"not_measured": "no time was left for it"}},
 "batch_sizes": [{"model": "models/m", "dtype": "bf16", "batch_size": 1, "step_ms": {"median": 2}, "bytes": 4e9,
   "tokens_per_second": 500, "intensity": 1}],
 "few_rows": [{"model": "llama-3-8b", "layer": "down", "dtype": "bf16", "rows": 8, "ours_us": {"median": 3},
   "cublas_us": {"median": 6}}, {"model": "llama-3-8b", "layer": "down", "dtype": "bf16", "rows": 2,
   "ours_us": {"median": 2}, "cublas_us": {"median": 5}}, {"model": "llama-3-8b", "layer": "down", "dtype": "bf16",
   "rows": 4, "ours_us": {"median": 4}, "cublas_us": {"median": 3}}],
 "attention": [{"model": "llama-3-8b", "context_len": 4096, "bytes_per_second": 1e12,
   "us": {"median": 20, "min": 20, "max": 20}}],
 "operators": [{"model": "llama-3-8b", "name": "swiglu", "us": {"median": 2, "min": 2, "max": 3}}],
 "decode": [{"model": "random:llama-3.2-1b", "dtype": "bf16", "context_len": 512, "bytes_per_token": 2e9,
   "tokens_per_second": {"median": 1500, "min": 1500, "max": 1500}}],
 "prefill": [{"model": "random:llama-3.2-1b", "dtype": "bf16", "prompt_len": 512, "flops": 1e12,
   "tokens_per_second": 102400, "ttft_ms": {"median": 5, "min": 5, "max": 6}}],
 "naive": [{"model": "models/stories", "dtype": "f32", "tokens": 150,
   "tokens_per_second": {"median": 100}, "cached_tokens_per_second": {"median": 350}}],
 "flash": [{"step": "flash_attention_2", "n": 512, "head_dim": 64, "causal": true, "flops_per_second": 3e14}],
 "torch_attention": [{"step": "pytorch_flash", "n": 512, "head_dim": 64, "causal": true, "flops_per_second": 2.4e14}],
 "flash_decoding": [{"n": 4096, "num_seqs": 8, "block_size": 16, "bytes_per_second": 3e12,
   "us": {"median": 20, "min": 20, "max": 21}}],
 "transformers_decode": [{"model": "random:llama-3.2-1b", "dtype": "bf16", "context_len": 512,
   "tokens_per_second": {"median": 500}}]}
TEXT
expect "all that is measured" 0 "changed: docs/page.md" pages update
for text in '| 1,200 | 1,500 |' '| 85% | 75.0% |' '| copy | 4.00 TB/s | 10.0% |' '| cuBLAS, bf16, 8,192³ | 800 TFLOP/s | 10.0% |' \
  '| llama-3-8b, down, bf16 | 4,096×14,336 | 75.0% | 50.0% | 1.50× | 0.00% |' \
  '| llama-3.2-1b, bf16 | 512 | 2,000 | 1,500 | 75.0% | 0.00% |' '| llama-3.2-1b, bf16 | 512 | 102,400 | 25.0% | 20.0% |' \
  '| attention to 4,096 keys, llama-3-8b | 20.0 | 25.0% | 0.00% |' '| swiglu, llama-3-8b | 2.00 |  | 50.0% |' \
  '| 64 | yes | 512 |  |  | 300 | 240 |  | 1.25× |' '| 8 | 4,096 | in blocks of 16 | 20.0 | 75.0% | 5.00% |' \
  '| llama-3-8b, down, bf16 | 2.50× | 0.75× | 2.00× | 1.50× |' \
  $'| m, bf16 | 1 | 2.00 | 1.00× | 500 | 1.00 | 50.0% |\n| llama-3-8b |  | not measured |  |  |  |  |\n<!-- /table' \
  '| llama-3.2-1b, bf16 | 512 | 500 | 1,500 | 3.00× |' '| stories, f32 | 150 | 100 | 350 | 3.50× |'; do
  expect "all that is measured" 0 "$text" cat "$tree/docs/page.md"
done
expect "all that is measured, checked" 0 "are as their sources" pages check

# Chapter 4's traffic, counted and not.
printf '{"chapters": [{"chapter": 4, "details": {"kernels": [%s, %s]}}]}' \
  '{"name": "flash_attention_2", "n": 64, "head_dim": 32, "tile": 16, "max_error": 1e-7, "predicted_bytes_read": 1000,
    "bytes_read": 1100, "predicted_bytes_written": 2000, "bytes_written": null}' \
  '{"name": "only_timed", "max_error": null}' >"$tree/bench/results/ladder.json"
page '<!-- table: flash_traffic -->' '<!-- /table -->'
expect "chapter 4's traffic" 0 "changed: " pages update
expect "chapter 4's traffic" 0 '| `flash_attention_2` | 64 | 32 | 16 | 1.00 kB | 1.10 kB | 2.00 kB | not measured |' cat "$tree/docs/page.md"
expect "what was only timed" 1 "" grep only_timed "$tree/docs/page.md"

# Chapter 6's tables.
by_k='[{"k": 4, "acceptance": 0.8, "tokens_per_round": 3.456, "cost_ratio": 0.1, "verify_ratio": 1.5, "speedup": 1.7,
  "speedup_predicted": 1.81}, {"k": 8, "acceptance": null, "tokens_per_round": 1, "cost_ratio": null, "verify_ratio": null,
  "speedup": 0.9, "speedup_predicted": null}]'
printf '{"chapters": [{"chapter": 6, "details": {"by_k": %s, "acceptance_by_position": [0.8, 0.25]}}]}' "$by_k" \
  >"$tree/bench/results/ladder.json"
printf '{"details": {"sweep": [{"drafter": "ngram", "temperature": 0.5, "texts": 8, "by_k": %s}]}}' "$by_k" \
  >"$tree/bench/results/speculative_sweep.json"
printf '{"details": {"by_k": %s}}' "$by_k" >"$tree/bench/results/speculative_ngram.json"
printf '{"benchmarks": [{"run_name": "decode/stories/f32/real_time", "tokens_per_second": 100}' >"$tree/bench/results/speed.json"
for rows in 2 3 4 5 7 9; do
  printf ', {"run_name": "verify%s/stories/f32/real_time", "tokens_per_second": 200}' $rows
done >>"$tree/bench/results/speed.json"
printf ']}' >>"$tree/bench/results/speed.json"
printf '{"speculation": [{"model": "random:big", "draft_model": "random:small", "dtype": "bf16", "simulated_acceptance": 0.7,
  "k": 4, "cost_ratio": 0.16, "verify_ratio": 1.1, "speedup": 1.58, "speedup_predicted": 1.6}]}' >"$tree/bench/results/gpu.json"
page '<!-- table: speculative_k -->' '<!-- /table -->' '<!-- table: speculative_positions -->' '<!-- /table -->' \
  '<!-- table: speculative_sweep -->' '<!-- /table -->' '<!-- table: speculative_repetition -->' '<!-- /table -->' \
  '<!-- table: verify_cost -->' '<!-- /table -->' '<!-- table: speculation_gpu -->' '<!-- /table -->'
expect "chapter 6's tables" 0 "changed: " pages update
for line in '| 4 | 80.0% | 3.46 | 0.10 | 1.50 | 1.81× | 1.70× |' \
  '| 8 | not measured | 1.00 | not measured | not measured | not measured | 0.90× |' '| 2 | 25.0% |' \
  '| ngram | 0.5 | 8 | 4 | 80.0% | 1.50 | 1.81× | 1.70× |' '| 4 | 80.0% | 3.46 | 1.50 | 1.81× | 1.70× |' \
  '| stories, ours | 1.00 | 1.50 | 2.00 | 2.50 | 3.50 | 4.50 |' '| big, bf16, with small | 0.7 | 4 | 0.16 | 1.10 | 1.60× | 1.58× |'; do
  expect "chapter 6's tables" 0 "$line" cat "$tree/docs/page.md"
done

# Chapter 3's tables: counts and shares as they are, times as multiples of the contiguous cache's.
printf '{"chapters": [{"chapter": 3, "details": {"kv_budget_bytes": 2000, "contiguous": %s, "paged": %s, "samples": %s,
  "endings": %s}}]}' \
  '{"most_at_once": 2, "mean_at_once": 2.0, "bytes_reserved": 1800, "bytes_used": 500, "used_share": 0.25,
    "predicted_used_share": 0.25, "steps": 40, "preemptions": 0}' \
  '{"most_at_once": 7, "mean_at_once": 5.56, "bytes_reserved": 1900, "bytes_used": 1700, "used_share": 0.9,
    "predicted_used_share": 0.91, "steps": 15, "preemptions": 3}' \
  '{"count": 8, "prompt_tokens": 5, "blocks_unshared": 80, "blocks": 80, "predicted_blocks": 80, "blocks_copied": 7}' \
  '{"count": 8, "prompt_tokens": 78, "blocks_unshared": 80, "blocks": 60, "predicted_blocks": 61, "blocks_copied": 6}' \
  >"$tree/bench/results/ladder.json"
printf '{"benchmarks": [{"run_name": "decode/m/%s/real_time", "real_time": 2}, {"run_name": "decode/m/%s/real_time",
  "real_time": 3}]}' contiguous blocks:16 >"$tree/bench/results/paged.json"
page '<!-- table: paged_budget -->' '<!-- /table -->' '<!-- table: paper_waste -->' '<!-- /table -->' \
  '<!-- table: shared_blocks -->' '<!-- /table -->' '<!-- table: paged_speed -->' '<!-- /table -->' \
  '<!-- table: paged_speed_gpu -->' '<!-- /table -->'
expect "chapter 3's tables" 0 "changed: " pages update
for line in '| texts at once while others wait | 2.0 | 5.6 |' '| wasted inside reservations | 1.30 kB | 200 B |' \
  '| left between reservations | 200 B | 100 B |' '| in blocks of 16 | 96.3% | 90.0% |' \
  "| 8 samples of the text's first half, 78 tokens | 80 | 61 | 60 | 25.0% | 6 |" \
  '| decode m | not measured | not measured | 1.50× | not measured | not measured |'; do
  expect "chapter 3's tables" 0 "$line" cat "$tree/docs/page.md"
done

# What each chapter is about.
cat >"$tree/bench/results/ladder.json" <<'TEXT'
{"chapters": [{"chapter": 1, "details": {}},
  {"chapter": 2, "details": {"token_passes_naive": 12080, "token_passes_cached": 155}},
  {"chapter": 3, "details": {"contiguous": {"used_share": 0.3}, "paged": {"used_share": 0.9}}},
  {"chapter": 4, "details": {"kernels": [{"name": "standard_attention", "n": 64, "bytes_read": 1, "bytes_written": 1},
    {"name": "standard_attention", "n": 128, "bytes_read": 6000, "bytes_written": 2000},
    {"name": "flash_attention_2", "n": 128, "bytes_read": 2500, "bytes_written": 500},
    {"name": "flash_attention_2", "n": 512, "bytes_read": null, "bytes_written": null}]}},
  {"chapter": 5, "details": {"variants": [{"name": "MHA", "kv_bytes_per_token": 10240, "perplexity": 16.124},
    {"name": "GQA", "kv_bytes_per_token": 2560, "perplexity": null}]}},
  {"chapter": 6, "details": {"acceptance": 0.8, "tokens_per_round": 3.456}},
  {"chapter": 7, "details": {"static": {"slot_steps": 200, "idle_slot_steps": 150},
    "continuous": {"slot_steps": 100, "idle_slot_steps": 10}}},
  {"chapter": 8, "details": {"hit_rate": 0.5}}]}
TEXT
cat >"$tree/bench/results/ladder_gpu.json" <<'TEXT'
{"machine": {"gpu": "a GPU"}, "chapters": [
  {"chapter": 1, "technique": "slow", "tokens_per_second": 1000.4, "ttft_ms": 2.0, "same_output": true},
  {"chapter": 2, "technique": "fast", "tokens_per_second": 4001.6, "ttft_ms": 0.5, "same_output": false}]}
TEXT
page '<!-- table: ladder_figures -->' '<!-- /table -->' '<!-- table: ladder_long -->' '<!-- /table -->' \
  '<!-- table: ladder_gpu -->' '<!-- /table -->'
expect "the chapters' figures" 0 "changed: " pages update
for line in '| 2 tokens passed through the model | 12,080 | 155 |' '| 3 KV memory reserved, but holding no token | 70.0% | 10.0% |' \
  '| 4 bytes that attention moves, N = 128 | 8.00 kB | 3.00 kB |' '| 5 KV bytes a token, GQA | 10,240 | 2,560 |' \
  '| 5 perplexity, GQA | 16.12 | not measured |' '| 6 drafted tokens accepted |  | 80.0% |' \
  '| 6 tokens a pass of the large model | 1.00 | 3.46 |' '| 7 slot-steps idle | 75.0% | 10.0% |' \
  '| 8 prompt tokens found in the cache | 0.00% | 50.0% |' $'<!-- table: ladder_long -->\nnot measured\n' \
  '| a GPU | tokens/s | against chapter 1 | against the one before | time to first token | same output |' \
  '| 1 slow | 1,000 | 1.00× |  | 2.00 ms | yes |' '| 2 fast | 4,002 | 4.00× | 4.00× | 0.50 ms | NO |'; do
  expect "the chapters' figures" 0 "$line" cat "$tree/docs/page.md"
done
cat >"$tree/bench/results/ladder_long.json" <<'TEXT'
{"rows": [{"chapter": 1, "model": "models/m", "device": "cpu", "dtype": "f32", "prompt_tokens": 2, "max_tokens": 4,
   "tokens_per_second": {"median": 10, "min": 9, "max": 12, "repetitions": 3}, "same_output": true},
  {"chapter": 2, "model": "models/m", "device": "cpu", "dtype": "f32", "prompt_tokens": 2, "max_tokens": 4,
   "tokens_per_second": {"median": 40, "min": 30, "max": 60, "repetitions": 2}, "same_output": false},
  {"chapter": 1, "model": "random:big", "device": "cpu", "dtype": "f32", "prompt_tokens": 2, "max_tokens": 4,
   "not_measured": "time was over"},
  {"chapter": 2, "model": "random:big", "device": "cpu", "dtype": "f32", "prompt_tokens": 2, "max_tokens": 4,
   "tokens_per_second": {"median": 40, "min": 30, "max": 60, "repetitions": 2}, "same_output": true}]}
TEXT
cat >"$tree/bench/results/ladder_long_gpu.json" <<'TEXT'
{"machine": {"gpu": "a GPU"}, "rows": [{"chapter": 1, "model": "models/m", "device": "cuda", "dtype": "f32",
   "prompt_tokens": 2, "max_tokens": 4, "tokens_per_second": {"median": 5, "min": 5, "max": 5, "repetitions": 1},
   "same_output": true}]}
TEXT
expect "the long ladder" 0 "changed: " pages update
for line in '| model | prompt + text | 1 | 2 | same output |' '| m, f32, cpu | 2 + 4 | 1.00× (0.90–1.20) | 4.00× (3.00–6.00) | NO |' \
  '| big, f32, cpu | 2 + 4 | not measured | not measured | yes |' '| m, f32, a GPU | 2 + 4 | 1.00× (1.00–1.00) | not measured | yes |'; do
  expect "the long ladder" 0 "$line" cat "$tree/docs/page.md"
done

printf '{"chapters": [' >"$tree/bench/results/ladder.json"
expect "results cut short" 1 "ladder.json is not JSON" pages check
printf '{"chapters": [{"chapter": 1}]}' >"$tree/bench/results/ladder.json"
rm -r "$tree/docs/results"
page '<!-- table: measured_naive -->' '<!-- /table -->'
expect "results that lack a field" 1 "the results lack 'details', which the table measured_naive shows" pages check
finish
