// What a client asks for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/program/generation.h"

namespace llm {

inline constexpr size_t kMaxBreakpoints = 4;

struct Request {
  std::string id;
  std::vector<int32_t> prompt;
  GenerationParams params;
  std::vector<std::string> stop = {};                 // strings, each of which ends the text before itself
  int32_t priority = 0;                               // smaller is more urgent
  int64_t arrival_step = 0;                           // it is there when this step is planned
  std::optional<int64_t> cancel_step = std::nullopt;  // nobody waits for it any more when this step is planned
  std::string salt = {};                              // chapter 8: whose cached prompts it may share
  std::vector<int32_t> breakpoints = {};              // chapter 8: lengths, in tokens, at which a part of the prompt
                                                      // ends that others may share; at most four
};

}  // namespace llm
