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
expect "all is gathered" 0 "[{'what': 'copy'}]" field 'r["memory"]'
expect "lists of several parts become one" 0 "[{'dtype': 'bf16'}, {'dtype': 'f32'}]" field 'r["decode"]'
expect "what was measured before a failure is kept" 0 "[{'model': 'first'}]" field 'r["matvec"]'
expect "a failure's last line is its reason" 0 "matvec is wrong" field 'r["parts"]["matvec"]["not_measured"]'
expect "a failure without a word" 0 "exit code 7" field 'r["parts"]["operators"]["not_measured"]'
expect "no failure" 0 "None" field 'r["parts"]["memory"]["not_measured"]'
expect "the machine" 0 "True" field '"gpu" in r["machine"] and r["machine"]["cores"] >= 1 and "commit" in r'

program 'echo "{\"memory\": [1]}" >"$json"; exec sleep 60'
expect "no time is left" 1 "no time was left for it" measure --seconds 3
expect "a part that hangs is ended" 0 "took longer than 3 s" field 'r["parts"]["memory"]["not_measured"]'
expect "what it had measured" 0 "[1]" field 'r["memory"]'
expect "a part after it" 0 "no time was left for it" field 'r["parts"]["matrix"]["not_measured"]'

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
expect "one argument" 2 "takes one argument" "$root/bench/gpu/measure"
finish
