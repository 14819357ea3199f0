#include "exercises/04_flash_attention.h"

namespace llm::exercises {

// 4.1. 65 queries over 65 keys, 3 heads, f32, not causal. How many bytes does standard attention write as scores? And
// how many does flash attention keep of each row's log_sum_exp?
const int64_t kScoreBytes = 0;
const int64_t kLogSumExpBytes = 0;

// 4.2. The page's worked example goes on: after [2, 4] and [6] with the values 1, 2 and 3 a third tile has the score 5
// and the value 4. What are m, l and O / l then? To three decimals.
const double kThirdMax = 0;
const double kThirdSum = 0;
const double kThirdOutput = 0;

// 4.3. Attention over two sets of keys, out of attention over each: how flash decoding joins its parts. Scores may be
// in the thousands, and either side may have seen no key.
PartialOutput merge(const PartialOutput& a, const PartialOutput& b) { return {}; }

// 4.4 and 4.5 are a kernel: 04_softmax.cu.

}  // namespace llm::exercises
