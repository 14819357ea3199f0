# What bench/gpu/check and bench/gpu/measure share: build with third_party/, in a folder of their own. `root` is the
# project; sourced by bash.

# Unpacks the packages of third_party/ and tells CMake and pkg-config where they are.
use_third_party() {
  local packages=$root/build/third_party
  if ! compgen -G "$root/third_party/*.deb" >/dev/null; then return; fi # the system has what is needed
  if [[ ! -d $packages ]]; then
    mkdir -p "$packages"
    local deb
    for deb in "$root"/third_party/*.deb; do dpkg -x "$deb" "$packages"; done
  fi
  local libraries=$packages/usr/lib/x86_64-linux-gnu
  export CMAKE_PREFIX_PATH=$packages/usr
  export PKG_CONFIG_LIBDIR=$libraries/pkgconfig PKG_CONFIG_SYSROOT_DIR=$packages
  export LD_LIBRARY_PATH=$libraries:$packages/lib/x86_64-linux-gnu:${LD_LIBRARY_PATH-}
  export LIBRARY_PATH=$libraries:$packages/lib/x86_64-linux-gnu CPLUS_INCLUDE_PATH=$packages/usr/include
  if ! command -v pkg-config >/dev/null; then export PATH=$packages/usr/bin:$PATH; fi
}

# Seconds that a program may take: as many as are left of nine minutes, at most so many, at least one.
at_most() {
  local left=$((535 - SECONDS))
  echo $((left < 1 ? 1 : left < $1 ? left : $1))
}

# build_for_gpu [target...]: all of it where none is named. Without the simulator, whose tests need no GPU.
build_for_gpu() {
  local folder=$root/build/gpu log=$root/build/gpu.log
  if ! { cmake --fresh -S "$root" -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_DISABLE_FIND_PACKAGE_Boost=ON && timeout "$(at_most 400)" ninja -C "$folder" "$@"; } >"$log" 2>&1; then
    grep -a -v -E '^\[[0-9]+/[0-9]+\] ' "$log" | tail -n 40
    return 1
  fi
}
