#!/usr/bin/env bash
# tools/check_format.sh [--fix]: fails where clang-format would change a C++ or CUDA file; --fix changes it.
# Only clang-format 14 (Debian 12's) is asked, because every version formats a little differently.
set -euo pipefail
root=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")
cd "$root"

formatter=""
for name in clang-format-14 clang-format; do
  if [[ $("$name" --version 2>/dev/null) == *"version 14."* ]]; then
    formatter=$name
    break
  fi
done
if [[ -z $formatter ]]; then
  echo "clang-format 14 is not installed: sudo apt-get install clang-format-14" >&2
  exit 2
fi

mapfile -d '' files < <(
  find bench chapters common exercises tests \( -name '*.h' -o -name '*.cpp' -o -name '*.cuh' -o -name '*.cu' \) -type f -print0
)
if ((${#files[@]} == 0)); then
  echo "no C++ file was found in $root" >&2
  exit 1
fi
if [[ ${1-} == --fix ]]; then
  "$formatter" -i "${files[@]}"
else
  "$formatter" --dry-run --Werror "${files[@]}"
  echo "${#files[@]} files are formatted"
fi
