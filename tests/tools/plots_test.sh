#!/usr/bin/env bash
# The plots that tools/pages.py draws for the pages: of results that are not there, and of small made-up ones.
set -euo pipefail
root=$1
. "$root/tests/tools/expect.sh"
skip_without_python
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/docs" "$tree/bench/results"

pages() { python3 "$root/tools/pages.py" "$1" "$tree"; }
page() { printf '%s\n' "$@" >"$tree/docs/page.md"; }

# Every plot: "not measured" and no file where nothing is stored, else a picture with its axes.
mapfile -t plots < <(sed -n '/^@plot/{n;s/def \(.*\)(.*/\1/p}' "$root/tools/plots.py")
mapfile -t lines < <(for name in "${plots[@]}"; do printf '<!-- plot: %s -->\n<!-- /plot -->\n\n' "$name"; done)
page "${lines[@]}"
expect "no plot yet" 0 "changed: " pages update
expect "no plot yet" 0 "${#plots[@]}" grep -c '^not measured$' "$tree/docs/page.md"
expect "no plot yet, no picture" 0 "" test ! -e "$tree/docs/results"
expect "no plot yet, checked" 0 "are as their sources" pages check
results() { cat >"$tree/bench/results/$1"; }
results ladder.json <<'TEXT'
{"chapters": [
  {"chapter": 1, "technique": "naive generation", "prompt_tokens": 2, "tokens_per_second": 10,
   "details": {"step_ms": [2.0, 4.0, 6.0]}},
  {"chapter": 2, "technique": "KV cache", "prompt_tokens": 2, "tokens_per_second": 200, "details": {"step_ms": [1.0, 1.0, 1.0]}},
  {"chapter": 4, "technique": "flash attention", "tokens_per_second": null, "details": {"kernels": [
    {"name": "standard_attention", "n": 32, "bytes_read": 40000, "bytes_written": 10000, "predicted_bytes_read": 39000,
     "predicted_bytes_written": 10000},
    {"name": "standard_attention", "n": 64, "bytes_read": 160000, "bytes_written": 40000, "predicted_bytes_read": 150000,
     "predicted_bytes_written": 40000},
    {"name": "flash_attention_2", "n": 32, "bytes_read": 20000, "bytes_written": 5000, "predicted_bytes_read": 19000,
     "predicted_bytes_written": 5000},
    {"name": "flash_attention_1", "n": 64, "bytes_read": null}]}},
  {"chapter": 6, "technique": "speculation", "tokens_per_second": 250, "details": {"by_k": [{"k": 1, "speedup": 1.2},
    {"k": 4, "speedup": 1.6}, {"k": 8, "speedup": null}]}},
  {"chapter": 7, "technique": "continuous batching", "tokens_per_second": 50, "details": {"num_slots": 2,
    "static": {"busy_slots": [2, 2, 2, 1, 1]}, "continuous": {"busy_slots": [2, 2, 2, 2], "tokens_per_second": 300}}},
  {"chapter": 8, "technique": "prompt caching", "tokens_per_second": 200, "details": {"probe_cached_tokens": 90,
    "probe_prompt_tokens": 100, "ttft_ratio": 5}}]}
TEXT
results paged_sweep.json <<'TEXT'
{"details": {"contiguous": {"used_share": 0.3}, "sweep": [
  {"block_size": 1, "run": {"used_share": 1, "predicted_used_share": 1}},
  {"block_size": 16, "run": {"used_share": 0.9, "predicted_used_share": 0.95}}]}}
TEXT
results grouped_sweep.json <<'TEXT'
{"details": {"variants": [{"kv_heads": 8, "kv_bytes_per_token": 1000, "perplexity": 10},
  {"kv_heads": 2, "kv_bytes_per_token": 250, "perplexity": 11}]}}
TEXT
results speculative_sweep.json <<'TEXT'
{"details": {"sweep": [{"drafter": "ngram", "temperature": 0.0, "texts": 1, "by_k": [{"k": 1, "speedup": 0.9}]},
  {"drafter": "ngram", "temperature": 0.0, "texts": 2, "by_k": [{"k": 1, "speedup": 9}]}]}}
TEXT
results speculative_ngram.json <<'TEXT'
{"details": {"by_k": [{"k": 2, "speedup": 2}]}}
TEXT
results gpu.json <<'TEXT'
{"machine": {"gpu": "a GPU"},
 "dram": [{"step": "standard_attention", "n": 1024, "dram_bytes_read": 50e6, "dram_bytes_written": 10e6},
  {"step": "standard_attention", "n": 8192, "dram_bytes_read": 4e9, "dram_bytes_written": 1e9},
  {"step": "flash_attention_2", "n": 1024, "dram_bytes_read": 6e6, "dram_bytes_written": 0}],
 "flash": [{"step": "flash_attention_2", "n": 512, "head_dim": 128, "causal": false, "us": {"median": 250}},
  {"step": "flash_attention_2", "n": 4096, "head_dim": 128, "causal": false, "us": {"median": 3000}},
  {"step": "flash_attention_2", "n": 1024, "head_dim": 64, "causal": false, "us": {"median": 1}}],
 "torch_attention": [{"step": "pytorch_flash", "n": 512, "head_dim": 128, "causal": false, "us": {"median": 260}}],
 "speculation": [{"model": "random:llama-3-8b", "simulated_acceptance": 0.6, "k": 1, "speedup": 1.1, "speedup_predicted": 1},
  {"model": "random:llama-3-8b", "simulated_acceptance": 0.8, "k": 4, "speedup": 1.6, "speedup_predicted": 1.7}],
 "prompt_cache": [{"model": "random:llama-3-8b", "dtype": "bf16", "prompt_len": 1000, "cached_tokens": 900,
  "cold_ttft_ms": {"median": 20}, "warm_ttft_ms": {"median": 4}}]}
TEXT
expect "all plots" 0 "changed: " pages update
expect "all plots, not measured" 1 "" grep 'not measured' "$tree/docs/page.md"
expect "all plots, checked" 0 "are as their sources" pages check
# picture NAME WORDS...: what a plot says, in order.
picture() {
  local file=$tree/docs/results/$1.svg
  shift
  expect "$file is XML" 0 "" python3 -c 'import sys, xml.dom.minidom as dom; dom.parse(sys.argv[1])' "$file"
  local said
  said=$(sed -n 's/^<text [^>]*>\(.*\)<\/text>$/\1/p' "$file" | paste -sd'|')
  expect "$file" 0 "$*" echo "$said"
}
picture memory-waste 'contiguous|paged, predicted|paged|reserved, but holding no token, over all steps|0%|20%|40%|60%|80%|100%|1|16|tokens in a block'
picture attention-traffic 'standard|flash 2|read and written, before any cache; predicted dashed|20 kB|50 kB|100 kB|200 kB|32|64|N, queries and keys'
picture attention-dram 'standard|flash 2|read from DRAM and written to it, a GPU|10 MB|100 MB|1 GB|1,024|8,192|'
picture attention-time 'PyTorch, flash|flash 2|ms for 16,384 tokens, a GPU|0.2|0.5|1|2|5|512|4,096|'
picture kv-heads 'KV bytes a token|perplexity|with 8 KV heads = 1|0×|0.25×|0.5×|0.75×|1×|1.25×|2|8|KV heads'
picture speedup-by-drafter 'no gain|a small model|lookup, text that repeats|lookup, a story|speed-up against chapter 2|0×|0.5×|1×|1.5×|2×|1|2|3|4|k, '
picture speedup-by-acceptance 'no gain|60% accepted|80% accepted|speed-up, a GPU; predicted dashed|0×|'
picture slot-occupancy 'static|continuous|slots that compute, of 2|0|0.5|1|1.5|2|0|1|2|3|4|5|step'
picture ttft-by-cached-share 'if a cached token cost nothing|llama-3-8b, GPU|stories, CPU|time to first token, nothing cached = 1|0|0.2|'
picture ladder-speed 'tokens/s of one text, chapter 1 = 1|1 naive generation|1.00×|2 KV cache|20.0×|6 speculation|25.0×|7 continuous batching|5.00×||30.0×, all texts|8 prompt'
# Static's slots are a staircase: 2 in steps 0 to 2, then 1 until step 5. So half as high, three fifths along.
expect "a staircase" 0 'points="72.0,66.0 297.6,66.0 297.6,191.0 448.0,191.0 448.0,316.0"' cat "$tree/docs/results/slot-occupancy.svg"
# A value above the axis's end is left out of the picture, not drawn outside it.
sed -i 's/"step_ms": \[1.0, 1.0/"step_ms": [900.0, 1.0/' "$tree/bench/results/ladder.json"
page '<!-- plot: time_per_token -->' '<!-- /plot -->'
expect "an outlier" 0 "changed: " pages update
expect "an outlier" 1 "" grep -E 'cy="-' "$tree/docs/results/time-per-token.svg"

# A run from before its steps were stored.
sed -i 's/"busy_slots": \[2, 2, 2, 1, 1\]/"steps": 5/' "$tree/bench/results/ladder.json"
page '<!-- plot: slot_occupancy -->' '<!-- /plot -->'
expect "no steps stored" 0 "changed: " pages update
expect "no steps stored" 0 "not measured" cat "$tree/docs/page.md"

# With the sweep of chapter 8 its line in place of the one mark.
printf '{"details": {"sweep": [%s, %s]}}' \
  '{"cached_tokens": 0, "prompt_tokens": 100, "ttft_ms_cold": 10, "ttft_ms_warm": 10}' \
  '{"cached_tokens": 50, "prompt_tokens": 100, "ttft_ms_cold": 10, "ttft_ms_warm": 5}' >"$tree/bench/results/prompt_sweep.json"
page '<!-- plot: ttft_by_cached_share -->' '<!-- /plot -->'
expect "the sweep" 0 "changed: " pages update
expect "the sweep" 0 'points="72.0,' grep 'stroke="#0072B2"' "$tree/docs/results/ttft-by-cached-share.svg"

echo '{"machine": {"gpu": "a GPU"}, "dram": [{"step": "standard_attention", "n": 1024}]}' >"$tree/bench/results/gpu.json"
page '<!-- plot: attention_dram -->' '<!-- /plot -->'
expect "results that lack a field" 1 "the results lack 'dram_bytes_read', which the plot attention_dram shows" pages check
finish
