#!/usr/bin/env bash
# bench/gpu/measure.py on a made-up program: what fails, hangs or is absent leaves a whole file that says so.
set -euo pipefail
root=$1
. "$root/tests/tools/expect.sh"
skip_without_python
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# program BODY: a bench_gpu of these lines; $part is the part and $json the file.
program() {
  {
    echo '#!/usr/bin/env bash'
    echo 'while (($#)); do'
    echo '  case $1 in --part) part=$2 ;; --json) json=$2 ;; --dtype) dtype=$2 ;; esac; shift'
    echo 'done'
    echo "$1"
  } >"$folder/bench_gpu"
  chmod +x "$folder/bench_gpu"
}
measure() { python3 "$root/bench/gpu/measure.py" --quick --program "$folder/bench_gpu" --json "$folder/gpu.json" "$@"; }
# field EXPRESSION: of the file, as Python sees it.
field() { python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$folder/gpu.json" "$1"; }

program 'case $part in
  memory) echo "{\"memory\": [{\"what\": \"copy\"}]}" >"$json" ;;
  matvec) echo "{\"matvec\": [{\"model\": \"first\"}]}" >"$json"; echo "matvec is wrong"; exit 3 ;;
  operators) exit 7 ;;
  model) echo "{\"decode\": [{\"dtype\": \"$dtype\"}]}" >"$json" ;;
esac'
expect "parts that fail" 1 "operators: 0." measure
expect "all is gathered" 0 "[{'what': 'copy', 'part': 'memory'}]" field 'r["memory"]'
expect "lists of several parts become one" 0 "['bf16', 'f32']" field '[row["dtype"] for row in r["decode"]]'
expect "what was measured before a failure is kept" 0 "[{'model': 'first', 'part': 'matvec'}]" field 'r["matvec"]'
expect "a failure's last line is its reason" 0 "matvec is wrong" field 'r["parts"]["matvec"]["not_measured"]'
expect "a failure without a word" 0 "exit code 7" field 'r["parts"]["operators"]["not_measured"]'
expect "no failure" 0 "None" field 'r["parts"]["memory"]["not_measured"]'
expect "the machine" 0 "True" field '"gpu" in r["machine"] and r["machine"]["cores"] >= 1 and "commit" in r'

expect "nothing from an earlier run" 0 "none" field 'r["earlier"]'
first=$(field 'r["commit"]')

program 'echo "{\"memory\": [{\"what\": \"read\"}]}" >"$json"; exec sleep 60'
expect "no time is left" 1 "no time was left for it" env COMMIT=second python3 "$root/bench/gpu/measure.py" --quick \
  --program "$folder/bench_gpu" --json "$folder/gpu.json" --seconds 3
expect "a part that hangs is ended" 0 "took longer than 3 s" field 'r["parts"]["memory"]["not_measured"]'
expect "what it had measured" 0 "['read']" field '[row["what"] for row in r["memory"]]'
expect "a part after it" 0 "no time was left for it" field 'r["parts"]["matvec"]["not_measured"]'
expect "a part after it, of an earlier run" 0 "['bf16', 'f32']" field '[row["dtype"] for row in r["decode"]]'
expect "the earlier run's commit" 0 "second" field 'r["commit"]'
expect "the earlier run's commit" 0 "$first" field 'r["parts"]["stories bf16"]["commit"]'
expect "the earlier run's parts, in a sentence" 0 "stories bf16, at $first; stories f32, at $first" field 'r["earlier"]'
python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); r["machine"]["gpu"] = "another"; json.dump(r, open(sys.argv[1], "w"))' \
  "$folder/gpu.json"
expect "an earlier run on another GPU" 1 "no time was left for it" measure --seconds 3
expect "an earlier run on another GPU" 0 "none False" field 'r["earlier"] + " " + str("decode" in r)'
echo '{"machine":' >"$folder/gpu.json"
expect "a file that is no JSON" 1 "no time was left for it" measure --seconds 3
expect "a file that is no JSON" 0 "none" field 'r["earlier"]'

rm "$folder/bench_gpu"
expect "no program" 1 "can't be started: No such file" measure
expect "no folder" 2 "there is no folder $folder/none" measure --json "$folder/none/gpu.json"

# Without torch the peers say so, in one sentence.
mkdir "$folder/torch"
echo 'raise ImportError("no torch here")' >"$folder/torch/__init__.py"
for peer in transformers_decode torch_attention; do
  expect "no torch" 2 "not measured: no torch here" \
    env PYTHONPATH="$folder" python3 "$root/bench/gpu/$peer.py" --json "$folder/peer.json"
done
expect "no torch" 2 "not measured: no torch here" env PYTHONPATH="$folder" python3 "$root/bench/gpu/transformers_batching.py" \
  --program none --model models/stories --json "$folder/peer.json"
# The profiler's rows, one a kernel and metric, become a sum for each step and shape.
dram() { PATH="$folder:$PATH" python3 "$root/bench/gpu/dram_bytes.py" --program "$folder/bench_gpu" --json "$folder/gpu.json"; }
program 'exit 1'
expect "no profiler" 2 "not measured: ncu, of NVIDIA's Nsight Compute, is not installed" \
  env PATH="$folder/torch" "$(python3 -c 'import sys; print(sys.executable)')" "$root/bench/gpu/dram_bytes.py" --program x --json "$folder/gpu.json"
printf '%s\n' '#!/bin/sh' 'echo "==ERROR== ERR_NVGPUCTRPERM - no permission"; exit 1' >"$folder/ncu"
chmod +x "$folder/ncu"
expect "a profiler that may not" 2 "not measured: ncu: ERR_NVGPUCTRPERM - no permission" dram
cat >"$folder/ncu" <<'EOF'
#!/usr/bin/env bash
while (($#)); do case $1 in --json) echo '{"dram": [{"step": "standard_attention"}, {"step": "flash_attention_2"},
  {"step": "standard_attention"}, {"step": "flash_attention_2"}]}' >"$2" ;; esac; shift; done
echo '==PROF== Connected'
echo '"ID","Kernel Name","Metric Name","Metric Unit","Metric Value"'
row() { echo "\"$1\",\"$2\",\"dram__bytes_$3.sum\",\"byte\",\"$4\""; }
id=0
for size in 1 100; do
  for kernel in 'void fill_kernel(float *)' 'void llm::cuda::scores_kernel<bf16, 32>(int)' 'void softmax_kernel<bf16>(int)' \
    'flash_attention_2_tensor_kernel'; do
    row $id "$kernel" read $((2 * size))
    row $id "$kernel" write "1,00$size"
    id=$((id + 1))
  done
done
EOF
expect "a profiler" 0 "" dram
expect "sums of the steps" 0 "[4, 2, 400, 200]" field '[row["dram_bytes_read"] for row in r["dram"]]'
expect "and what they write" 0 "[2002, 1001, 200200, 100100]" field '[row["dram_bytes_written"] for row in r["dram"]]'
expect "one argument" 2 "takes one argument" "$root/bench/gpu/measure"
finish
