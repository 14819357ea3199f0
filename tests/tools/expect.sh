# What the tests of scripts share. Sourced by bash; the test ends with `finish`.
failures=0

# expect WHAT STATUS TEXT COMMAND...: the command exits with STATUS and what it writes contains TEXT; the output is kept
# in `output`.
expect() {
  local what=$1 wanted_status=$2 text=$3 status=0
  shift 3
  output=$("$@" 2>&1 </dev/null) || status=$?
  if [[ $status != "$wanted_status" || $output != *"$text"* ]]; then
    printf 'FAILED: %s\n  wanted status %s and "%s"\n  got status %s and:\n%s\n' "$what" "$wanted_status" "$text" \
      "$status" "$output"
    failures=$((failures + 1))
  fi
}

# refuse WHAT TEXT: the last output must not contain TEXT.
refuse() {
  if [[ $output == *"$2"* ]]; then
    printf 'FAILED: %s\n  "%s" stands in:\n%s\n' "$1" "$2" "$output"
    failures=$((failures + 1))
  fi
}

finish() {
  if ((failures)); then
    echo "$failures failed"
    exit 1
  fi
  echo "all passed"
}

skip_without_python() {
  if python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then return; fi
  echo "skipped: there is no Python 3.11"
  exit 77
}
