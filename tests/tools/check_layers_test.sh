#!/usr/bin/env bash
# tools/check_layers on small trees with one #include each.
set -euo pipefail
root=$1
. "$root/tests/tools/expect.sh"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

# tree_with FILE LINE: a tree in which FILE has LINE.
tree_with() {
  rm -rf "${tree:?}"/*
  mkdir -p "$tree/common" "$tree/chapters" "$tree/${1%/*}"
  printf '#include <vector>\n' >"$tree/common/a.h"
  printf '%s\n' "$2" >"$tree/$1"
}

right() {
  tree_with "$1" "$2"
  expect "$1: $2" 0 "none points the wrong way" "$root/tools/check_layers" "$tree"
}

wrong() {
  tree_with "$1" "$2"
  expect "$1: $2" 1 "$1:1: includes $3, which stands above it" "$root/tools/check_layers" "$tree"
}

right chapters/02_kv_cache/main.cpp '#include "chapters/01_naive_generation/naive.h"'
right chapters/02_kv_cache/main.cpp '#include "chapters/02_kv_cache/cache.h"'
right chapters/02_kv_cache/main.cpp '#include "cache.h"'
right chapters/10_last/main.cpp '#include "../09_nearly/x.h"'
right chapters/02_kv_cache/main.cpp '#include "common/ops/ops.h"'
right common/ops/ops.cpp '#include "../tensor/tensor.h"'
right common/ops/ops.cpp '#include <chapters>'
right common/ops/ops.cpp '// once chapters/02_kv_cache/cache.h was an #include "chapters/02_kv_cache/cache.h"'
right bench/ladder/main.cpp '#include "chapters/02_kv_cache/cache.h"'

right exercises/checks/02_kv_cache_check.cpp '#include "exercises/02_kv_cache.h"'
right exercises/02_kv_cache.cpp '#include "chapters/08_x/cache.h"'

wrong common/a.h '#include "chapters/01_naive_generation/naive.h"' chapters/01_naive_generation/naive.h
wrong common/ops/ops.cpp '#include "../../chapters/01_naive/naive.h"' chapters/01_naive/naive.h
wrong common/ops/ops.cuh '  #  include <chapters/01_naive/naive.h>' chapters/01_naive/naive.h
wrong common/ops/ops.cu '#include "tests/support/expect_close.h"' tests/support/expect_close.h
wrong chapters/01_naive/main.cpp '#include "chapters/02_kv_cache/cache.h"' chapters/02_kv_cache/cache.h
wrong chapters/09_nearly/main.cpp '#include "../10_last/x.h"' chapters/10_last/x.h
wrong chapters/08_x/main.cpp '#include "chapters/09_y/y.h"' chapters/09_y/y.h
wrong chapters/02_kv_cache/main.cpp '#include "bench/ladder/ladder.h"' bench/ladder/ladder.h
wrong chapters/02_kv_cache/main.cpp '#include "exercises/02_kv_cache.h"' exercises/02_kv_cache.h
wrong tests/chapters/02_kv_cache/a_test.cpp '#include "exercises/02_kv_cache.h"' exercises/02_kv_cache.h

rm -rf "${tree:?}"/*
mkdir "$tree/common" "$tree/chapters"
expect "a tree without sources" 1 "is it the project?" "$root/tools/check_layers" "$tree"
finish
