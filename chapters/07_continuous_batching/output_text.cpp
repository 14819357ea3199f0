#include "chapters/07_continuous_batching/output_text.h"

#include <algorithm>

namespace llm {

namespace {

// How many characters at the end of `text` are the beginning of `stop`.
size_t overlap(const std::string& text, const std::string& stop) {
  size_t length = std::min(text.size(), stop.size() - 1);
  while (length > 0 && text.compare(text.size() - length, length, stop, 0, length) != 0) --length;
  return length;
}

}  // namespace

OutputText::OutputText(const Tokenizer* tokenizer, std::vector<std::string> stop) : stop_(std::move(stop)) {
  if (tokenizer != nullptr) decoder_.emplace(*tokenizer);
}

std::string OutputText::push(int32_t token) { return decoder_ ? release(decoder_->push(token)) : ""; }

// region: release
std::string OutputText::release(const std::string& more) {
  if (stopped_) return "";
  held_ += more;
  size_t end = std::string::npos, overlap_size = 0;
  for (const std::string& stop : stop_) {
    end = std::min(end, held_.find(stop));
    overlap_size = std::max(overlap_size, overlap(held_, stop));
  }
  stopped_ = end != std::string::npos;
  return let_out(stopped_ ? end : held_.size() - overlap_size);
}
// endregion

std::string OutputText::finish() {
  if (!decoder_ || stopped_) return "";
  std::string out = release(decoder_->finish());
  if (!stopped_) out += let_out(held_.size());
  return out;
}

std::string OutputText::let_out(size_t length) {
  std::string out = held_.substr(0, length);
  held_.erase(0, length);
  text_ += out;
  return out;
}

}  // namespace llm
