# How the tests are built and registered.
include(GoogleTest)

# GoogleTest's header takes most of a test's compile time: it is compiled once. A precompiled header serves only those
# who are compiled with the same flags, so every test gets the flags of all libraries.
add_library(llm_test_options INTERFACE)
target_link_libraries(llm_test_options INTERFACE llm_options GTest::gtest_main PkgConfig::PCRE2 PkgConfig::UTF8PROC)
target_compile_options(llm_test_options INTERFACE -O0) # the libraries do the work; a third less time to compile than by -O1
if(LLM_SANITIZE) # what is undefined in the tests' own lines is not worth half of their time to compile
  target_compile_options(llm_test_options INTERFACE -fno-sanitize=undefined)
endif()
add_library(llm_test_header OBJECT ${CMAKE_CURRENT_BINARY_DIR}/header.cpp)
target_link_libraries(llm_test_header PRIVATE llm_test_options)
target_precompile_headers(llm_test_header PRIVATE <gtest/gtest.h> ${LLM_STANDARD_HEADERS})

# llm_test(name SOURCES a.cpp ... LINK other ... LABEL label): a folder's tests as one GoogleTest program, each known to
# ctest. SOURCES left out: name.cpp.
# The label `long` keeps tests that take minutes out of a plain ./test. Those with "cuda" among their parameters have the
# label `gpu` instead: they skip, with the reason, where there is no GPU.
function(llm_test name)
  cmake_parse_arguments(ARG "" "LABEL" "SOURCES;LINK" ${ARGN})
  if(NOT ARG_SOURCES)
    set(ARG_SOURCES ${name}.cpp)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} llm_test_options)
  target_precompile_headers(${name} REUSE_FROM llm_test_header)
  set(discovery WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS)
  set(on_gpu "*/*cuda*")
  gtest_discover_tests(${name} NO_PRETTY_VALUES TEST_FILTER "${on_gpu}" ${discovery} gpu)
  gtest_discover_tests(${name} NO_PRETTY_VALUES TEST_FILTER "-${on_gpu}" ${discovery} "${ARG_LABEL}")
endfunction()
