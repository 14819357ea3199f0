# The libraries we stand on. The system's package where there is one (Debian 12's versions are the oldest that are
# tried); for the small ones else a pinned download, whose hash is that of the release on GitHub.
include(FetchContent)

set(CMAKE_POLICY_DEFAULT_CMP0077 NEW) # the downloads' options obey the variables set here
set(FMT_INSTALL OFF)
set(JSON_BuildTests OFF)
set(INSTALL_GTEST OFF)
set(BUILD_GMOCK OFF)
set(BENCHMARK_ENABLE_TESTING OFF)
set(BENCHMARK_ENABLE_INSTALL OFF)

FetchContent_Declare(
  fmt
  URL https://github.com/fmtlib/fmt/archive/refs/tags/9.1.0.tar.gz
  URL_HASH SHA256=5dea48d1fcddc3ec571ce2058e13910a0d4a6bab4cc09a809d8b1dd1c88ae6f2
  FIND_PACKAGE_ARGS 9.1)
FetchContent_Declare(
  cli11
  URL https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.4.2.tar.gz
  URL_HASH SHA256=f2d893a65c3b1324c50d4e682c0cdc021dd0477ae2c048544f39eed6654b699a
  FIND_PACKAGE_ARGS NAMES CLI11)
FetchContent_Declare(
  nlohmann_json
  URL https://github.com/nlohmann/json/releases/download/v3.12.0/json.tar.xz
  URL_HASH SHA256=42f6e95cad6ec532fd372391373363b62a14af6d771056dbfc86160e6dfff7aa
  FIND_PACKAGE_ARGS 3.11)
FetchContent_Declare(
  googletest
  URL https://github.com/google/googletest/archive/refs/tags/release-1.12.1.tar.gz
  URL_HASH SHA256=81964fe578e9bd7c94dfdb09c8e4d6e6759e19967e397dbea48d1c10e45d0df2
  FIND_PACKAGE_ARGS NAMES GTest)
FetchContent_Declare(
  benchmark
  URL https://github.com/google/benchmark/archive/refs/tags/v1.8.3.tar.gz
  URL_HASH SHA256=6bc180a57d23d4d9515519f92b0c83d61b05b5bab188961f36ac7b06b0d9e9ce
  FIND_PACKAGE_ARGS)

FetchContent_MakeAvailable(fmt cli11 nlohmann_json)
if(LLM_TESTS)
  FetchContent_MakeAvailable(googletest)
endif()
if(LLM_BENCH)
  FetchContent_MakeAvailable(benchmark)
endif()
# Their headers owe nothing to our warnings. (CMake 3.25's own SYSTEM argument for downloads breaks their hash.)
foreach(target fmt CLI11 nlohmann_json gtest gtest_main benchmark)
  if(TARGET ${target})
    set_target_properties(${target} PROPERTIES SYSTEM ON)
  endif()
endforeach()

find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
# Of xxHash only the header is used; it has no CMake package.
find_path(LLM_XXHASH_FOLDER xxhash.h)
if(NOT LLM_XXHASH_FOLDER)
  FetchContent_Declare(
    xxhash
    URL https://github.com/Cyan4973/xxHash/archive/refs/tags/v0.8.1.tar.gz
    URL_HASH SHA256=3bb6b7d6f30c591dd65aaaff1c8b7a5b94d81687998ca9400082c739a690436c)
  FetchContent_MakeAvailable(xxhash)
  set(LLM_XXHASH_FOLDER ${xxhash_SOURCE_DIR})
endif()
add_library(llm_xxhash INTERFACE)
target_include_directories(llm_xxhash SYSTEM INTERFACE ${LLM_XXHASH_FOLDER})
find_package(Boost 1.74 QUIET COMPONENTS context) # the fibers of the device simt, which is left out without them
if(LLM_BENCH)
  pkg_check_modules(OPENBLAS QUIET IMPORTED_TARGET openblas) # a peer to measure against, where it is found
endif()

# To read the standard library's headers takes half of a file's time to compile: they are compiled once. A precompiled
# header serves only those who are compiled with the same flags, so everything of ours gets OpenMP's and fmt's.
target_link_libraries(llm_options INTERFACE fmt::fmt OpenMP::OpenMP_CXX)
set(LLM_STANDARD_HEADERS <algorithm> <cmath> <filesystem> <functional> <map> <memory> <optional> <random> <span> <string>
                         <vector> <fmt/format.h>)
file(CONFIGURE OUTPUT header.cpp CONTENT "// Compiled for its precompiled header alone.\n")
add_library(llm_header OBJECT ${CMAKE_CURRENT_BINARY_DIR}/header.cpp)
target_link_libraries(llm_header PRIVATE llm_options)
target_precompile_headers(llm_header PRIVATE ${LLM_STANDARD_HEADERS})
