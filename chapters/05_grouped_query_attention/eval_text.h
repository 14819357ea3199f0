// How well a model predicts a text: what fewer KV heads cost.
#pragma once

#include "chapters/01_naive_generation/perplexity.h"

namespace llm {

class EvalText {
 public:
  // The first `num_documents` of a file's documents, or all of them where it is 0. An empty path: the stories under
  // models/eval; none where there is no such folder. Throws InputError.
  EvalText(const std::filesystem::path& file, int num_documents);

  // NaN where the model has no tokenizer, or there is no text.
  double perplexity(const ModelSource& source, DType dtype, Device device);

  const std::string& file() const { return file_; }
  int64_t num_documents() const { return static_cast<int64_t>(documents_.size()); }
  int64_t num_tokens() const { return num_tokens_; }  // that were scored, with the last model's tokenizer

 private:
  std::string file_, text_;
  std::vector<std::string_view> documents_;  // parts of text_
  int64_t num_tokens_ = 0;
};

}  // namespace llm
