#include "common/program/token_stream.h"

#include <cstdio>

#include "common/program/kernel_counts.h"

namespace llm {

TokenStream::TokenStream(const LoadedModel& model, const std::vector<int32_t>& prompt) {
  if (model.tokenizer) decoder_.emplace(*model.tokenizer);
  for (const int32_t token : prompt) push(token);
}

void TokenStream::push(int32_t token) {
  fmt::print("{}", decoder_ ? decoder_->push(token) : fmt::format("{} ", token));
  std::fflush(stdout);
}

void TokenStream::finish() {
  stop_kernel_counts();
  fmt::print("{}\n", decoder_ ? decoder_->finish() : "");
}

}  // namespace llm
