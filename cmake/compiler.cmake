# How everything of ours is compiled, and the function that every folder uses.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

add_library(llm_options INTERFACE)
target_include_directories(llm_options INTERFACE ${PROJECT_SOURCE_DIR})
set(options
    -Wall
    -Wextra
    # a·b + c as one instruction everywhere, or nowhere: results may not depend on the compiler's mood
    -ffp-contract=fast
    # nothing of ours reads errno or floating-point traps, and vector loops are possible without them
    -fno-math-errno
    -fno-trapping-math)
if(LLM_WERROR)
  list(APPEND options -Werror)
endif()
if(LLM_NATIVE)
  list(APPEND options -march=native)
endif()
# a file that a sentence names is named as in the project, wherever that lies
set(short_names -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)
target_compile_options(llm_options INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${options};${short_names}>" # nvcc knows none of them
                                             "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=${short_names}>")
if(LLM_SANITIZE)
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1 -DNDEBUG")
  # a pointer that is null or far out is caught where it is used; asking at every sum too takes half of the time
  target_compile_options(llm_options INTERFACE -fsanitize=address,undefined -fno-sanitize=pointer-overflow,null
                                               -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(llm_options INTERFACE -fsanitize=address,undefined)
endif()
if(LLM_FUZZ) # libFuzzer looks for inputs that take a new way
  target_compile_options(llm_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# The presets compile several files of a folder as one, which takes half of the time (CMAKE_UNITY_BUILD); `debug` compiles
# each file alone, and so finds what a file forgets to include.

# llm_library(name SOURCES a.cpp ... LINK other ...): a folder's library. LINK names everything it may use.
function(llm_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC llm_options ${ARG_LINK})
  target_precompile_headers(${name} REUSE_FROM llm_header)
endfunction()

# llm_program(name SOURCES main.cpp ... LINK other ...): a program, likewise.
function(llm_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  target_precompile_headers(${name} REUSE_FROM llm_header)
endfunction()
