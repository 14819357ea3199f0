// One generated text: its tokens, when each came, and why it ended.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>
#include <vector>

#include "common/model/config.h"
#include "common/sampling/sampler.h"

namespace llm {

// stop: an end-of-text or stop token, or a stop string; context: the context is full; cancelled: nobody waits for the
// text any more; rejected: it was never begun.
enum class FinishReason { none, stop, length, context, cancelled, rejected };

constexpr const char* name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::none:
      return "none";
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::context:
      return "context";
    case FinishReason::cancelled:
      return "cancelled";
    case FinishReason::rejected:
      return "rejected";
  }
  return "?";
}

struct GenerationParams {
  int max_tokens = 200;
  bool ignore_eos = false;
  SamplingParams sampling;
  std::vector<int32_t> stop_token_ids = {};  // each ends the text, whatever ignore_eos says
};

// Called with each token as it is made.
using OnToken = std::function<void(int32_t token)>;

// The loop's record. `sample` is called once a token, in order; the end-of-text token is kept as the last one.
class Generation {
 public:
  Generation(std::vector<int32_t> prompt, const ModelConfig& config, const GenerationParams& params);

  // The next token, sampled from `logits` [1, vocab_size], f32, on any device, for which `token_passes` tokens went
  // through the model. Its time is the time since the last one.
  int32_t sample(TensorView logits, int64_t token_passes);

  // The same in two parts, for a StepSampler that draws for many: how to draw the next token, and what was drawn.
  SampleRow next_row() { return sampler_.next_row(); }
  Sampler& sampler() { return sampler_; }
  void add(TopToken sampled, int64_t token_passes);

  // It is waited for from now on; until this is called, from its construction.
  void start_clock() { last_ = std::chrono::steady_clock::now(); }

  // The text ends here for a reason that its tokens do not show.
  void finish(FinishReason reason) { finish_reason_ = reason; }

  // How many more tokens there may be, unless an end-of-text token comes first.
  int num_left() const;
  bool finished() const { return finish_reason_ != FinishReason::none; }
  FinishReason finish_reason() const { return finish_reason_; }

  const std::vector<int32_t>& prompt() const { return prompt_; }
  const std::vector<int32_t>& token_ids() const { return token_ids_; }
  const std::vector<int32_t>& all() const { return all_; }  // prompt and generated tokens together

  // [num generated] milliseconds for each token; the first holds the prefill and is the time to first token.
  const std::vector<double>& step_ms() const { return step_ms_; }
  // [num generated] how near each choice was to another: TopToken::gap.
  const std::vector<float>& top_gaps() const { return top_gaps_; }
  // [num generated] tokens that went through the model for each, repeated ones too; and all of them.
  const std::vector<int64_t>& step_passes() const { return step_passes_; }
  int64_t token_passes() const { return std::accumulate(step_passes_.begin(), step_passes_.end(), int64_t{0}); }
  double ttft_ms() const { return step_ms_.empty() ? 0.0 : step_ms_.front(); }
  // Of the tokens after the first; NaN where there are none.
  double tokens_per_second() const;

 private:
  std::vector<int32_t> prompt_, token_ids_, all_;
  std::vector<double> step_ms_;
  std::vector<int64_t> step_passes_;
  std::vector<float> top_gaps_;
  FinishReason finish_reason_ = FinishReason::none;
  GenerationParams params_;
  Sampler sampler_;
  int context_length_;
  std::vector<int32_t> eos_token_ids_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace llm
