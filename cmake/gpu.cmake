# The CUDA sources are compiled twice: by g++ for the simulator (common/simt), and by nvcc where it is found.

option(LLM_CUDA "Build the device cuda where nvcc is found" ON)

set(LLM_HAVE_SIMT ${Boost_FOUND})
if(NOT LLM_HAVE_SIMT)
  message(STATUS "No device simt: Boost.Context was not found")
endif()

set(LLM_HAVE_CUDA FALSE)
if(LLM_CUDA AND NOT LLM_SANITIZE) # the sanitizers watch the simulator instead
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --version OUTPUT_VARIABLE nvcc_says)
    string(REGEX MATCH "release ([0-9.]+)" nvcc_says "${nvcc_says}")
    set(nvcc_version ${CMAKE_MATCH_1})
  endif()
  if(NOT CMAKE_CUDA_COMPILER)
    message(STATUS "No device cuda: nvcc was not found")
  elseif(nvcc_version VERSION_LESS 12.4)
    message(STATUS "No device cuda: nvcc is ${nvcc_version}, 12.4 or later is needed")
  else()
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      # The GPU that is there; with none, code for Ampere, and PTX that the drivers of later GPUs compile.
      execute_process(
        COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
        OUTPUT_VARIABLE gpus
        ERROR_QUIET)
      if(gpus MATCHES "[0-9]\\.[0-9]")
        set(CMAKE_CUDA_ARCHITECTURES native)
      else()
        set(CMAKE_CUDA_ARCHITECTURES 80)
      endif()
    endif()
    enable_language(CUDA)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20) # which CMake 3.25 does not know
    find_package(CUDAToolkit REQUIRED)
    set(LLM_HAVE_CUDA TRUE)
    message(STATUS "Device cuda: nvcc ${nvcc_version}, architecture ${CMAKE_CUDA_ARCHITECTURES}")
  endif()
endif()

# How g++ compiles a CUDA source. -fsanitize=thread makes every load and store call a hook, which we have in place of the
# sanitizer's runtime: common/simt/access_hooks.cpp. A wide load must stay one load, and no loop's loads may become one.
if(LLM_HAVE_SIMT)
  add_library(llm_simt_options INTERFACE)
  target_link_libraries(llm_simt_options INTERFACE llm_options llm_simt)
  target_compile_definitions(llm_simt_options INTERFACE LLM_SIMT)
  target_compile_options(llm_simt_options INTERFACE -Wno-unknown-pragmas -fno-strict-aliasing $<$<CONFIG:Release>:-O2;-g1>)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_compile_options(llm_simt_options INTERFACE -fno-tree-sra -fno-ipa-sra -fno-tree-vectorize)
  endif()
  if(NOT LLM_SANITIZE)
    target_compile_options(llm_simt_options INTERFACE -fsanitize=thread)
    if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
      target_compile_options(llm_simt_options INTERFACE --param=tsan-instrument-func-entry-exit=0)
    endif()
  endif()
endif()

# Each of `names` with the suffix, where there is a GPU library of that name, and as it is else.
function(llm_gpu_names result suffix)
  set(names)
  foreach(name IN LISTS ARGN)
    if(TARGET ${name}${suffix})
      list(APPEND names ${name}${suffix})
    else()
      list(APPEND names ${name})
    endif()
  endforeach()
  set(${result} ${names} PARENT_SCOPE)
endfunction()

# llm_gpu_library(name SOURCES a.cu ... LINK other ...): name_simt and name_cuda, as far as they can be built, and `name`,
# which is both of them and tells so by LLM_HAVE_SIMT and LLM_HAVE_CUDA.
function(llm_gpu_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} INTERFACE)
  if(LLM_HAVE_SIMT)
    # A file can't be of two languages: g++ gets one that includes it.
    set(sources)
    foreach(source IN LISTS ARG_SOURCES)
      set(wrapper ${CMAKE_CURRENT_BINARY_DIR}/simt/${source}.cpp)
      file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"${CMAKE_CURRENT_SOURCE_DIR}/${source}\"\n")
      list(APPEND sources ${wrapper})
    endforeach()
    llm_gpu_names(link _simt ${ARG_LINK})
    add_library(${name}_simt STATIC ${sources})
    target_link_libraries(${name}_simt PRIVATE llm_simt_options PUBLIC llm_options llm_simt ${link})
    target_link_libraries(${name} INTERFACE ${name}_simt)
    target_compile_definitions(${name} INTERFACE LLM_HAVE_SIMT)
  endif()
  if(LLM_HAVE_CUDA)
    llm_gpu_names(link _cuda ${ARG_LINK})
    add_library(${name}_cuda STATIC ${ARG_SOURCES})
    target_compile_options(${name}_cuda PRIVATE --expt-relaxed-constexpr)
    target_compile_definitions(${name}_cuda PRIVATE FMT_USE_CONSTEXPR=1) # fmt 9 thinks that nvcc can't do constexpr
    target_link_libraries(${name}_cuda PUBLIC llm_options CUDA::cudart_static CUDA::cublas ${link})
    target_link_libraries(${name} INTERFACE ${name}_cuda)
    target_compile_definitions(${name} INTERFACE LLM_HAVE_CUDA)
  endif()
endfunction()
