#!/usr/bin/env bash
# ./run and ./test on a made-up project and a made-up system: a folder that is the whole PATH, whose compiler, CMake,
# Ninja, apt and sudo only note what they were asked.
set -euo pipefail
root=$1
. "$root/tests/tools/expect.sh"
sandbox=$(mktemp -d)
trap 'rm -rf "$sandbox"' EXIT
system=$sandbox/system # what is installed
store=$sandbox/store   # what could be
project="$sandbox/a b/project"
export sandbox system store

# stub NAME: a command of the store, read from standard input.
stub() {
  { echo '#!/usr/bin/env bash' && cat; } >"$store/$1"
  chmod +x "$store/$1"
}

make_store() {
  mkdir -p "$store"
  stub g++ <<'STUB'
[[ " $* " == *" -E "* && -e $sandbox/old_compiler ]] && exit 1
exit 0
STUB
  stub cmake <<'STUB'
if [[ $1 == --version ]]; then
  echo "cmake version $(cat "$sandbox/cmake_version")"
  exit
fi
echo "cmake $*" >>"$sandbox/log"
[[ -e $sandbox/broken_cmake ]] && echo "CMake Error: no such file" && exit 1
mkdir -p "build/$2"
echo "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" >"build/$2/CMakeCache.txt"
touch "build/$2/build.ninja"
STUB
  stub ninja <<'STUB'
target=${!#}
if [[ $1 == -n ]]; then
  if [[ -e built_$target ]]; then echo "ninja: no work to do."; fi
  exit
fi
echo "ninja $*" >>"$sandbox/log"
echo "[1/1] Building $target"
[[ -e $sandbox/broken_code ]] && echo "main.cpp:1: error: expected ';'" && exit 1
case $target in
  chapter_02) program=chapters/02_kv_cache/chapter_02 ;;
  exercise_*) program=exercises/$target ;;
  *) program=bench/$target/$target ;;
esac
mkdir -p "${program%/*}"
printf '#!/usr/bin/env bash\necho "$(basename "$0") in $PWD with $#:"\nprintf "<%%s>" "$@"\n[[ ${1-} != --bad ]] || exit 2\n[[ ! -e $sandbox/unsolved_${0##*/} ]] || exit 1\n' \
  >"$program"
chmod +x "$program"
touch "built_$target"
STUB
  stub ctest <<'STUB'
echo "ctest $*" >>"$sandbox/log"
while [[ $1 != --output-junit ]]; do shift; done
failed=0
if [[ -e $sandbox/failing_test ]]; then failed=2; fi
printf '<?xml version="1.0"?>\n<testsuite name="x"\n\ttests="9"\n\tfailures="%s"\n\tdisabled="0"\n\tskipped="1"\n>\n' \
  $failed >"$2"
if [[ -e $sandbox/skips ]]; then
  for name in A B; do printf '<testcase>\nx_test.cpp:7: Skipped\nno &quot;%s&quot; here &amp; there\n\n' "$name"; done >>"$2"
  printf 'x_test.cpp:9: Skipped\nno &quot;A&quot; here &amp; there\n' >>"$2"
fi
echo "      Start 1: A.One"
echo "1/9 Test #1: A.One ......   Passed    0.01 sec"
echo "2/9 Test #2: A.Two ......***Skipped   0.01 sec"
echo "100% tests passed, 0 tests failed out of 9"
printf '\nThe following tests did not run:\n\t  2 - A.Two (Skipped)\n'
exit $((failed ? 8 : 0))
STUB
  stub pkg-config <<'STUB'
[[ -e $sandbox/libraries/$2 ]]
STUB
  stub apt-get <<'STUB'
echo "apt-get $*" >>"$sandbox/log"
[[ $* == *" install "* ]] || exit 0
[[ -e $sandbox/broken_apt ]] && echo "E: Unable to locate package" && exit 100
for name in g++ cmake ninja pkg-config; do ln -sf "$store/$name" "$system/$name"; done
touch "$sandbox"/libraries/{libpcre2-8,libutf8proc,fmt,CLI11,nlohmann_json,libxxhash,gtest,benchmark}
STUB
  stub sudo <<'STUB'
[[ -e $sandbox/sudo_asks ]] && echo "sudo: a password is required" && exit 1
shift
[[ $1 == true ]] || echo "sudo $1" >>"$sandbox/log"
"$@"
STUB
  stub id <<'STUB'
cat "$sandbox/user"
STUB
}

# reset COMMAND...: the project as cloned, on a system that has these commands of the store beside the base system's.
reset() {
  rm -rf "$system" "$sandbox/a b" "$sandbox"/old_* "$sandbox"/broken_* "$sandbox"/failing_* "$sandbox"/sudo_* "$sandbox"/skips "$sandbox"/unsolved_*
  mkdir -p "$system" "$sandbox/libraries" "$project/tools" "$project/chapters/02_kv_cache" "$project/docs" "$project/exercises"
  rm -f "$sandbox"/libraries/*
  local name
  for name in bash env dirname basename readlink cat sed grep head tail paste nproc mkdir rm touch ln chmod flock true sort uniq; do
    ln -sf "$(command -v "$name")" "$system/$name"
  done
  for name in id "$@"; do ln -sf "$store/$name" "$system/$name"; done
  cp "$root/run" "$root/test" "$project/"
  cp "$root/tools/setup.sh" "$project/tools/"
  mkdir "$project/chapters/01_naive_generation"
  touch "$project"/exercises/0{1_naive_generation,2_kv_cache}.cpp
  echo '# Chapter 1: naive generation' >"$project/docs/01-naive-generation.md"
  echo 3.25.1 >"$sandbox/cmake_version"
  echo 1000 >"$sandbox/user"
  : >"$sandbox/log"
}

# A system with everything installed.
reset_complete() {
  reset g++ cmake ninja ctest pkg-config "$@"
  touch "$sandbox"/libraries/{libpcre2-8,libutf8proc,fmt,CLI11,nlohmann_json,libxxhash,gtest,benchmark}
}

on_system() { PATH=$system "$@"; }
run() { on_system "$project/run" "$@"; }
run_tests() { on_system "$project/test" "$@"; }
log() { cat "$sandbox/log"; }

make_store

# What works before anything is built or installed.
reset
expect "--list" 0 " 1  naive_generation             Chapter 1: naive generation" run --list
expect "--list, a chapter without a page" 0 " 2  kv_cache                     kv cache" run --list
expect "--help" 0 "./run CHAPTER [flags]" run --help
expect "./test --help" 0 "--preset release|debug|asan" run_tests --help
expect "unknown chapter" 2 'There is no chapter "9": ./run --list' run 9
expect "unknown word" 2 'There is no chapter "*"' run '*'
expect "absurd number" 2 'There is no chapter "18446744073709551618"' run 18446744073709551618
expect "unknown preset" 2 'There is no preset "x"' run_tests --preset x

# Bare systems.
expect "bare, without apt" 2 "Not found: g++ cmake ninja pkg-config libpcre2-8 libutf8proc. There is no apt" run
reset apt-get
expect "bare, neither root nor sudo" 2 "su - -c 'apt-get update && apt-get install -y --no-install-recommends g++ cmake" run
refuse "bare, neither root nor sudo" "sudo"
reset apt-get sudo
touch "$sandbox/sudo_asks"
expect "bare, sudo wants a password" 2 "sudo sh -c 'apt-get update && apt-get install -y" run
expect "bare, nothing was installed" 0 "" log
refuse "bare, nothing was installed" "install"
reset apt-get sudo
expect "bare, sudo without a password" 0 "ladder in" run
expect "sudo ran apt" 0 "sudo env" log
reset apt-get
echo 0 >"$sandbox/user"
expect "bare, root" 0 "installing: g++ cmake ninja-build pkg-config libpcre2-dev" run
expect "apt's arguments" 0 "install --no-install-recommends g++ cmake ninja-build pkg-config libpcre2-dev" log
expect "second start installs nothing" 0 "ladder in" run
refuse "second start installs nothing" "installing"
reset apt-get
echo 0 >"$sandbox/user"
touch "$sandbox/broken_apt"
expect "apt fails" 1 "E: Unable to locate package" run

# Parts that are missing or old.
reset_complete apt-get
rm "$sandbox/libraries/fmt"
expect "one library is missing" 2 "install -y --no-install-recommends libfmt-dev'" run
reset_complete
rm "$sandbox/libraries/fmt"
expect "without apt CMake downloads a small library" 0 "ladder in" run
rm "$sandbox/libraries/libpcre2-8"
expect "without apt PCRE2 must be there" 2 "Not found: libpcre2-8. There is no apt" run
reset_complete
touch "$sandbox/old_compiler"
expect "old compiler" 2 "g++ is too old: g++ 12 or newer" run
CXX=no-such-compiler expect "compiler named by CXX" 2 "Not found: no-such-compiler." run
reset_complete
echo 3.9.6 >"$sandbox/cmake_version"
expect "old CMake" 2 "cmake is too old: CMake 3.25 or newer" run
echo 4.0.0 >"$sandbox/cmake_version"
expect "new CMake" 0 "ladder in" run

# Building and running.
reset_complete
expect "the ladder, with flags" 0 "with 4:" run --prompt "two  words" --json ""
expect "flags are passed as they are" 0 "<--prompt><two  words><--json><>" run --prompt "two  words" --json ""
refuse "nothing to build, nothing said" "built in"
expect "ladder by name" 0 "ladder in $PWD with 1:" run ladder --help
expect "perplexity" 0 "perplexity in $PWD with 2:" run perplexity --text FILE
expect "chapter 2" 0 "chapter_02 in $PWD with 1:" run 2 --help
expect "chapter 02" 0 "chapter_02 in $PWD with 0:" run 02
expect "the program's exit status" 2 "<--bad>" run 2 --bad
(cd / && CDPATH=/tmp:$sandbox expect "from another folder" 0 "ladder in / with 0:" run && ((failures == 0)))
ln -s "$project/run" "$sandbox/link"
expect "through a symbolic link" 0 "ladder in $PWD" on_system "$sandbox/link"
expect "configured once" 0 "cmake --preset release" log
refuse "configured once" "--fresh"
mv "$sandbox/a b" "$sandbox/moved"
expect "a moved project is configured afresh" 0 "ladder in" on_system "$sandbox/moved/project/run"
expect "a moved project is configured afresh" 0 "cmake --preset release --fresh" log
rm -rf "$sandbox/moved"
reset_complete
touch "$sandbox/broken_code"
expect "a compile error" 1 "main.cpp:1: error: expected ';'" run
refuse "a compile error, without progress" "[1/1]"
reset_complete
touch "$sandbox/broken_cmake"
expect "CMake fails" 1 "CMake Error: no such file" run
rm "$sandbox/broken_cmake"
expect "CMake mended" 0 "ladder in" run

# The reader's exercises.
reset_complete
expect "an exercise" 0 "exercise_02 in $PWD with 1:" run_tests exercise 2.3
expect "an exercise" 0 "<--gtest_filter=*Exercise3>" run_tests exercise 2.3
expect "a chapter's exercises" 0 "<--gtest_filter=*Exercise*>" run_tests --preset asan exercise 2
expect "the preset of an exercise" 0 "cmake --preset asan" log
expect "all exercises" 0 "exercise_01 in $PWD" run_tests exercise
expect "all exercises" 0 "exercise_02 in $PWD" run_tests exercise
refuse "solved exercises need no hint" "check again"
touch "$sandbox/unsolved_exercise_01"
expect "one is not solved" 1 "Write in exercises/01_naive_generation.cpp and check again" run_tests exercise
refuse "of one that is solved nothing is said" "exercises/02_kv_cache.cpp"
expect "no such chapter" 2 'There is no exercise "3": ./test exercise 3 checks' run_tests exercise 3
expect "no such word" 2 'There is no exercise "2.*"' run_tests exercise '2.*'
expect "too many words" 2 'There is no exercise "1 2"' run_tests exercise 1 2

# The tests.
reset_complete
expect "tests" 0 "8 passed, 0 failed, 1 skipped" run_tests
expect "ctest's last lines stay" 0 "100% tests passed, 0 tests failed out of 9" run_tests
refuse "passed tests are not listed" "A.One"
refuse "skipped tests are not listed" "A.Two"
refuse "skipped tests are not listed" "did not run"
touch "$sandbox/skips"
expect "why tests were skipped" 0 '2 skipped: no "A" here & there' run_tests
expect "why tests were skipped" 0 '1 skipped: no "B" here & there' run_tests
refuse "reasons that are counted are not listed" 'Skipped'
rm "$sandbox/skips"
expect "long tests are left out" 0 "-LE long" log
: >"$sandbox/log"
expect "--long, and ctest's flags" 0 "8 passed" run_tests --preset asan --long -R Rope
expect "--long, and ctest's flags" 0 "-R Rope" log
refuse "--long" "-LE long"
expect "the preset" 0 "--test-dir $project/build/asan" log
touch "$sandbox/failing_test"
expect "a test fails" 8 "6 passed, 2 failed, 1 skipped" run_tests
finish
