// Prints text as it is made.
#pragma once

#include "common/program/loaded_model.h"

namespace llm {

// The prompt, then each token's text as soon as it completes a character. Without a tokenizer, the ids.
class TokenStream {
 public:
  TokenStream(const LoadedModel& model, const std::vector<int32_t>& prompt);
  void push(int32_t token);
  // The chapter's result is complete: what kernels do later, such as chapter 1's for comparison, is not counted.
  void finish();

 private:
  std::optional<StreamDecoder> decoder_;
};

}  // namespace llm
