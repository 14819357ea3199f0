#include "common/program/program.h"

#include <cstdio>
#include <new>

#include "common/error.h"
#include "common/program/command_line.h"

namespace llm {

int run_program(const std::function<int()>& body) {
  try {
    return body();
  } catch (const HelpRequested& help) {
    fmt::print("{}", help.text);
    return 0;
  } catch (const InputError& error) {
    std::fflush(stdout);
    fmt::print(stderr, "error: {}\n", error.what());
    return 2;
  } catch (const std::bad_alloc&) {
    std::fflush(stdout);
    fmt::print(stderr, "error: not enough memory; take a smaller --model, or --dtype bf16\n");
    return 2;
  } catch (const std::exception& error) {
    std::fflush(stdout);
    fmt::print(stderr, "internal error: {}\n", error.what());
    return 3;
  }
}

}  // namespace llm
