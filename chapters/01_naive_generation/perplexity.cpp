#include "chapters/01_naive_generation/perplexity.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "chapters/01_naive_generation/forgetful_memory.h"

namespace llm {

std::vector<std::string_view> split_documents(std::string_view text) {
  constexpr std::string_view kSeparator = "<|endoftext|>";
  std::vector<std::string_view> documents;
  const auto keep = [&](std::string_view document) {
    while (!document.empty() && document.front() == '\n') document.remove_prefix(1);
    while (!document.empty() && document.back() == '\n') document.remove_suffix(1);
    if (!document.empty()) documents.push_back(document);
  };
  size_t begin = 0;
  for (size_t line = 0; line < text.size();) {
    const size_t end = std::min(text.find('\n', line), text.size());
    if (text.substr(line, end - line) == kSeparator) {
      keep(text.substr(begin, line - begin));
      begin = std::min(end + 1, text.size());
    }
    line = end + 1;
  }
  keep(text.substr(begin));
  return documents;
}

namespace {

// log(Σ exp(logit)) − logit[token], in double precision.
double loss_of(const float* logits, int vocab_size, int32_t token) {
  const double largest = *std::max_element(logits, logits + vocab_size);
  double sum = 0.0;
  for (int i = 0; i < vocab_size; ++i) sum += std::exp(logits[i] - largest);
  return largest + std::log(sum) - logits[token];
}

}  // namespace

std::vector<double> token_losses(const Transformer& model, const std::vector<int32_t>& tokens, int window, int stride) {
  const int64_t n = static_cast<int64_t>(tokens.size());
  const int vocab_size = model.config().vocab_size;
  ForgetfulMemory memory(model.config(), window, 1, model.dtype(), model.device());
  Batch batch(window, 1, model.device());
  Workspace workspace(model.device());
  const Tensor logits({window, vocab_size}, DType::f32, model.device());

  std::vector<double> losses;
  for (int64_t begin = 0; static_cast<int64_t>(losses.size()) + 1 < n; begin += stride) {
    const int64_t end = std::min<int64_t>(begin + window, n);
    batch.clear();
    batch.add(0, std::span(tokens).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)), 0,
              LogitRows::all);
    memory.begin_step(batch);
    model.forward(batch, memory, model.ops().attend, workspace, logits.view().rows(0, end - begin));
    const Tensor here = to_host(logits.view().rows(0, end - begin));
    for (int64_t next = static_cast<int64_t>(losses.size()) + 1; next < end; ++next) {
      const float* row = here.view().as<float>() + (next - 1 - begin) * vocab_size;
      losses.push_back(loss_of(row, vocab_size, tokens[static_cast<size_t>(next)]));
    }
  }
  return losses;
}

TextScore score_documents(const LoadedModel& model, std::span<const std::string_view> documents,
                          const std::string& source, int window, int stride) {
  TextScore score;
  for (const std::string_view document : documents) {
    const std::vector<int32_t> tokens = model.tokenizer->encode(document);
    check_token_ids(model, tokens, source);
    const std::vector<double> losses = token_losses(*model.transformer, tokens, window, stride);
    score.loss_sum = std::accumulate(losses.begin(), losses.end(), score.loss_sum);
    score.tokens += static_cast<int64_t>(losses.size());
    score.bytes += document.size();
  }
  return score;
}

}  // namespace llm
