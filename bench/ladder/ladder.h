// All chapters on the same prompt, side by side.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/json/json.h"
#include "common/tensor/tensor.h"

namespace llm {

// The chapters' programs, in order: build/.../chapters/NN_name/chapter_NN.
std::vector<std::filesystem::path> find_chapter_programs(const std::filesystem::path& chapters_folder);

enum class Output { all, errors_only };  // what of a program's output goes to ours

// Runs a program and waits for it. Returns its exit code; 3 where a signal ended it.
int run_program_file(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                     Output output = Output::all);

// What the numbers were measured on: processor, cores, system, compiler, and the GPU where it was one.
Json describe_machine(Device device);

// What COMMIT in the environment says; else the commit that is checked out, with "+" where files differ from it; ""
// where that can't be told.
std::string describe_commit(const std::filesystem::path& folder);

}  // namespace llm
