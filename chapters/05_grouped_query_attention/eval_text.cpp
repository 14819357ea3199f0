#include "chapters/05_grouped_query_attention/eval_text.h"

#include <algorithm>
#include <limits>

#include "common/json/json.h"

namespace llm {

EvalText::EvalText(const std::filesystem::path& file, int num_documents) : file_(file.string()) {
  if (const auto folder = find_embedded("models/eval"); file_.empty() && folder) file_ = *folder / "stories.txt";
  if (file_.empty()) return;
  text_ = read_file(file_);
  documents_ = split_documents(text_);
  if (documents_.empty()) fail_input("{}: has no document to score; give a file with text", file_);
  if (num_documents > 0) documents_.resize(std::min(documents_.size(), static_cast<size_t>(num_documents)));
}

double EvalText::perplexity(const ModelSource& source, DType dtype, Device device) {
  if (source.tokenizer == nullptr || documents_.empty()) return std::numeric_limits<double>::quiet_NaN();
  const LoadedModel model = load_model(source, dtype, device == Device::simt ? Device::cpu : device);
  const int window = std::min(model.config().context_length, 2048);
  const TextScore score = score_documents(model, documents_, file_, window, window / 2);
  num_tokens_ = score.tokens;
  return score.perplexity();
}

}  // namespace llm
