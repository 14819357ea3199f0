# What ./run and ./test share: find what is missing and install it, then build. Sourced by bash; `root` is the project.
# All that is said here goes to standard error, so that standard output is the program's alone.

# pkg-config's name and Debian's, for each library.
libraries="libpcre2-8=libpcre2-dev libutf8proc=libutf8proc-dev fmt=libfmt-dev CLI11=libcli11-dev
nlohmann_json=nlohmann-json3-dev libxxhash=libxxhash-dev gtest=libgtest-dev benchmark=libbenchmark-dev"
# Without these nothing can be built; CMake downloads the other libraries where the system has none.
needed_libraries="libpcre2-8 libutf8proc"

# A thread that waits for the others first spins, this many times, then sleeps. libgomp's own 300,000 make every step
# wait for a time slice where other programs hold the cores; on a quiet machine both are the same.
if [[ -z ${OMP_WAIT_POLICY-} ]]; then export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-10000}; fi

say() { printf '%s\n' "$*" >&2; }

have() { command -v "$1" >/dev/null 2>&1; }

# The compiler that CMake will choose; CXX may name another, with flags.
compiler() { ${CXX:-g++} "$@"; }

compiler_is_new_enough() {
  compiler -std=c++20 -E -x c++ - >/dev/null 2>&1 <<'PROBE'
#if __GNUC__ < 12 && __clang_major__ < 16
#error
#endif
PROBE
}

cmake_is_new_enough() {
  [[ $(cmake --version 2>/dev/null) =~ version\ ([0-9]+)\.([0-9]+) ]] &&
    ((BASH_REMATCH[1] * 100 + BASH_REMATCH[2] >= 325))
}

# Debian's names of the packages that are missing, one a line.
missing_packages() {
  compiler --version >/dev/null 2>&1 || echo g++
  have cmake || echo cmake
  have ninja || echo ninja-build
  have pkg-config || echo pkg-config
  local library
  for library in $libraries; do
    pkg-config --exists "${library%=*}" 2>/dev/null || echo "${library#*=}"
  done
  # Boost has no file for pkg-config.
  compiler -E -x c++ - >/dev/null 2>&1 <<<'#include <boost/context/fiber.hpp>' || echo libboost-context-dev
}

# The same for a system without apt, in words that every system knows.
missing_parts() {
  compiler --version >/dev/null 2>&1 || echo "${CXX:-g++}"
  local part
  for part in cmake ninja pkg-config; do
    have $part || echo $part
  done
  for part in $needed_libraries; do
    pkg-config --exists $part 2>/dev/null || echo $part
  done
}

# install_packages PREFIX PACKAGE...: with apt, quietly; PREFIX is the command that makes us root, or empty.
install_packages() {
  local prefix=$1 log=$root/build/install.log start=$SECONDS
  shift
  local environment="DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1"
  mkdir -p "$root/build"
  say "installing: $*"
  # A source that can't be reached is no reason to stop: the packages may come from another.
  $prefix env $environment apt-get -q update >"$log" 2>&1 </dev/null || true
  if ! $prefix env $environment apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@" \
    >>"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    say "apt could not install them; the whole log is in $log"
    exit 1
  fi
  say "installed in $((SECONDS - start)) s"
}

# install_missing PACKAGE...: with apt, as root or with sudo; or says which command does it and exits with 2.
install_missing() {
  if [[ $(id -u) == 0 ]]; then
    install_packages "" "$@"
  elif have sudo && sudo -n true 2>/dev/null; then
    install_packages "sudo -n" "$@"
  else
    local command="apt-get update && apt-get install -y --no-install-recommends $*"
    say "Some packages are missing. Install them with this command, then start again:"
    if have sudo; then
      say "  sudo sh -c '$command'"
    else
      say "  su - -c '$command'"
    fi
    exit 2
  fi
}

# ensure_installed PACKAGE...: those of Debian's names that are missing, none if all is here.
ensure_installed() {
  if (($# == 0)); then return; fi
  if have apt-get; then
    install_missing "$@"
  else
    say "Not found: $*. There is no apt here: install them the way this system does, then start again."
    exit 2
  fi
}

# Makes sure that everything the build needs is here, or says what to do and exits with 2.
ensure_packages() {
  if have apt-get; then
    ensure_installed $(missing_packages)
  else
    ensure_installed $(missing_parts)
  fi
  if ! compiler_is_new_enough; then
    say "The compiler ${CXX:-g++} is too old: g++ 12 or newer is needed (CXX=... names another one)."
    exit 2
  fi
  if ! cmake_is_new_enough; then
    say "$(command -v cmake) is too old: CMake 3.25 or newer is needed."
    exit 2
  fi
}

# ensure_python_packages REQUIREMENTS: what this file names, in build/site-venv, apart from the system's Python.
ensure_python_packages() {
  local folder=$root/build/site-venv log=$root/build/pip.log
  local installed=$folder/${1##*/}
  if cmp -s "$1" "$installed"; then return; fi
  say "installing the Python packages of $1"
  mkdir -p "$root/build"
  if ! { python3 -m venv "$folder" && "$folder/bin/pip" install --disable-pip-version-check -r "$1"; } \
    >"$log" 2>&1 </dev/null; then
    tail -n 5 "$log" >&2
    say "pip could not install them; the whole log is in $log"
    exit 2
  fi
  cp "$1" "$installed"
}

# As many jobs as cores, but no more than the memory bears: the heaviest file takes about 1 GB to compile.
job_count() {
  local cores kilobytes key value rest
  cores=$(nproc 2>/dev/null || echo 2)
  kilobytes=$((cores * 1000000))
  while read -r key value rest; do
    if [[ $key == MemAvailable: ]]; then kilobytes=$value; fi
  done 2>/dev/null </proc/meminfo || true
  local jobs=$((kilobytes / 1000000))
  if ((jobs > cores)); then jobs=$cores; fi
  echo $((jobs < 1 ? 1 : jobs))
}

# configure PRESET: once; after that Ninja itself runs CMake again when a CMake file has changed.
configure() {
  local folder=$root/build/$1 log=$root/build/$1-configure.log fresh="" home=""
  if [[ -f $folder/CMakeCache.txt ]]; then
    home=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$folder/CMakeCache.txt")
    if [[ -f $folder/build.ninja && $home == "$root" ]]; then return; fi
    fresh=--fresh # half configured, or the project was moved
  fi
  say "configuring"
  if ! (cd "$root" && cmake --preset "$1" $fresh) >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    exit 1
  fi
}

# build PRESET TARGET...: says nothing when there is nothing to do.
build() {
  local preset=$1 folder=$root/build/$1 log=$root/build/$1-build.log start=$SECONDS
  shift
  mkdir -p "$root/build"
  (
    if have flock; then flock 9; fi # a second start, in another terminal, waits until the first has built
    configure "$preset"
    cd "$folder"
    if [[ $(ninja -n "$@" 2>&1) == *"no work to do"* ]]; then exit 0; fi
    local jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(job_count)}
    if [[ -t 2 ]]; then
      ninja -j "$jobs" "$@" >&2 </dev/null
    else
      say "building $*"
      if ! ninja -j "$jobs" "$@" >"$log" 2>&1 </dev/null; then
        grep -a -v -E '^\[[0-9]+/[0-9]+\] ' "$log" >&2
        exit 1
      fi
    fi
    say "built in $((SECONDS - start)) s"
  ) 9>"$root/build/lock"
}
