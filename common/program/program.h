// What every program does around its own work.
#pragma once

#include <functional>

namespace llm {

// Runs `body` and returns its exit code. An InputError is printed as one sentence and gives 2; --help gives 0; anything
// else that is thrown is a fault of ours and gives 3.
int run_program(const std::function<int()>& body);

}  // namespace llm
