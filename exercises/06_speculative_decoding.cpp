#include "exercises/06_speculative_decoding.h"

namespace llm::exercises {

// 6.1. A drafted token is accepted with probability α = 0.8 where all before it were, a draft step costs c = 0.1 and a
// verification v = 1.3 steps of the target. Which length k of a draft is the fastest? And which if v were 1 for any k?
const int kBestK = 0;
const int kBestKOfFreeVerification = 0;

// 6.2. How many tokens a round of k drafted ones adds in the mean, the target's own among them. α may be 0, and 1.
double expected_tokens(double alpha, int k) { return 0.0; }

// 6.3. Whether the drafted token x stands: with probability min(1, p(x) / q(x)), which `uniform` in [0, 1) decides. One
// that is impossible in p never does.
bool accepts(std::span<const double> p, std::span<const double> q, int32_t drafted, double uniform) { return false; }

// 6.4. What a rejected token is replaced from: what q holds too little of, made to sum to 1. Where p = q it is p.
std::vector<double> residual_distribution(std::span<const double> p, std::span<const double> q) { return {}; }

// 6.5. A drafter without a model: find the first earlier place at which the last n tokens of the context stand, and
// draft what followed there, at most `max_tokens`. The two places may overlap. Nothing was found: no draft.
std::vector<int32_t> look_up(std::span<const int32_t> context, int n, int max_tokens) { return {}; }

}  // namespace llm::exercises
