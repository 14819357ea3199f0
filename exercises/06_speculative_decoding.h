// The exercises of chapter 6; `./test exercise 6` checks them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace llm::exercises {

extern const int kBestK, kBestKOfFreeVerification;  // 6.1

double expected_tokens(double alpha, int k);  // 6.2

// p, q [vocab_size], each summing to 1; `drafted` was drawn from q.
bool accepts(std::span<const double> p, std::span<const double> q, int32_t drafted, double uniform);  // 6.3
std::vector<double> residual_distribution(std::span<const double> p, std::span<const double> q);      // 6.4

std::vector<int32_t> look_up(std::span<const int32_t> context, int n, int max_tokens);  // 6.5

}  // namespace llm::exercises
