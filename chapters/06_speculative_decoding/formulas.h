// What speculation should be worth.
#pragma once

namespace llm {

// Tokens that a round of `k` drafted tokens adds in the mean, the target's own included, where each is accepted with
// probability `alpha` if all before it were: 1 + α + α² + ... + α^k = (1 − α^(k+1)) / (1 − α).
double expected_tokens(double alpha, int k);

// What a round takes, in decode steps of the target: k · c + v, with `c` a step of the draft and `v` the verification.
double round_cost(int k, double c, double v);

// How many times as fast as the target alone.
double expected_speedup(double alpha, int k, double c, double v);

}  // namespace llm
