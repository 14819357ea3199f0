// The time to the first token of one long prompt, computed whole and with most of it cached.
#pragma once

#include <vector>

#include "chapters/08_prompt_caching/prompt_service.h"

namespace llm {

struct TtftProbe {
  int64_t prompt_tokens = 0, cached_tokens = 0;
  bool same = true;                                    // the answers of both services
  std::vector<double> cold_ms, warm_ms;                // [runs] to the first token
  std::vector<double> cold_decode_ms, warm_decode_ms;  // [runs] median of the tokens after it

  double ttft_ratio() const;    // cold through warm, by medians
  double decode_ratio() const;  // warm through cold
};

// The prompt's first `shared_len` tokens are always the same, the rest is new in each run. The two services take turns,
// so that both see the same machine.
TtftProbe probe_ttft(const LoadedModel& model, PromptService& cold, PromptService& warm, int32_t prompt_len,
                     int32_t shared_len, int answer_tokens, int runs);

}  // namespace llm
