#include "exercises/06_speculative_decoding.h"

#include <algorithm>
#include <random>

#include "chapters/06_speculative_decoding/formulas.h"
#include "chapters/06_speculative_decoding/ngram_drafter.h"
#include "chapters/06_speculative_decoding/rejection_sampling.h"
#include "exercises/checks/check.h"

namespace llm {
namespace {

int best_k(double v) {
  int best = 1;
  for (int k = 2; k <= 50; ++k) {
    if (expected_speedup(0.8, k, 0.1, v) > expected_speedup(0.8, best, 0.1, v)) best = k;
  }
  return best;
}

TEST(Chapter6, Exercise1) {
  expect_prediction("kBestK", exercises::kBestK, best_k(1.3), "by chapter 6's formula the fastest is");
  expect_prediction("kBestKOfFreeVerification", exercises::kBestKOfFreeVerification, best_k(1.0),
                    "with v = 1 the fastest is");
}

TEST(Chapter6, Exercise2) {
  for (const double alpha : {0.0, 0.1, 0.5, 0.8, 0.99, 1.0}) {
    for (int k = 0; k <= 9; ++k) {
      ASSERT_NEAR_ANSWER(exercises::expected_tokens(alpha, k), expected_tokens(alpha, k), 1e-9)
          << "α = " << alpha << ", k = " << k << ".";
    }
  }
}

// Distributions of `vocab_size` tokens, of which each in three is impossible.
std::vector<double> random_distribution(std::mt19937_64& random, size_t vocab_size) {
  std::vector<double> distribution(vocab_size);
  double sum = 0.0;
  for (double& probability : distribution) sum += probability = random() % 3 == 0 ? 0.0 : double(random() % 1000 + 1);
  if (sum == 0.0) sum = distribution[random() % vocab_size] = 1.0;
  for (double& probability : distribution) probability /= sum;
  return distribution;
}

TEST(Chapter6, Exercise3) {
  std::mt19937_64 random(1);
  for (const size_t vocab_size : {1, 2, 3, 31}) {
    for (int pairs = 0; pairs < 100; ++pairs) {
      const std::vector<double> p = random_distribution(random, vocab_size),
                                q = random_distribution(random, vocab_size);
      for (size_t x = 0; x < vocab_size; ++x) {
        if (q[x] == 0.0) continue;  // it is never drafted
        for (const double uniform : {0.0, 0.1, 0.5, 0.9, 1.0 - 0x1p-53}) {
          ASSERT_ANSWER(exercises::accepts(p, q, static_cast<int32_t>(x), uniform),
                        accepts(p, q, static_cast<int32_t>(x), uniform))
              << "p of the drafted token is " << p[x] << ", q is " << q[x] << "; uniform is " << uniform << ".";
        }
      }
    }
  }
}

TEST(Chapter6, Exercise4) {
  std::mt19937_64 random(2);
  for (const size_t vocab_size : {1, 2, 3, 31}) {
    for (int pairs = 0; pairs < 100; ++pairs) {
      const std::vector<double> p = random_distribution(random, vocab_size),
                                q = pairs == 0 ? p : random_distribution(random, vocab_size),
                                residual = exercises::residual_distribution(p, q);
      ASSERT_ANSWER(residual.size(), vocab_size) << "Numbers in the result: one for each token.";
      // A token comes out where it was drafted and accepted, or drawn in place of a rejected one.
      double rejected = 1.0;
      for (size_t x = 0; x < vocab_size; ++x) rejected -= std::min(p[x], q[x]);
      for (size_t x = 0; x < vocab_size; ++x) {
        ASSERT_NEAR_ANSWER(std::min(p[x], q[x]) + rejected * residual[x], p[x], 1e-12)
            << "How often token " << x << " of " << vocab_size
            << " comes out, accepted or as a replacement; the target says "
               "the second, the draft "
            << q[x] << ".";
        ASSERT_NEAR_ANSWER(residual[x], residual_distribution(p, q, 0)[x], 1e-9) << "Chapter 6 says otherwise.";
      }
    }
  }
}

TEST(Chapter6, Exercise5) {
  std::mt19937_64 random(3);
  for (const size_t length : {1, 2, 3, 7, 33}) {
    for (int texts = 0; texts < 100; ++texts) {
      std::vector<int32_t> context(length);
      for (int32_t& token : context) token = static_cast<int32_t>(random() % 3);
      for (const size_t n : {1, 2, 3}) {
        std::span<const int32_t> followed;  // by all that stands behind the first place
        for (size_t begin = 0; followed.empty() && begin + n < length; ++begin) {
          const std::span<const int32_t> rest = std::span(context).subspan(begin);
          if (std::ranges::equal(rest.first(n), std::span(context).last(n))) followed = rest.subspan(n);
        }
        for (const size_t max_tokens : {1, 4, 100}) {
          const std::span<const int32_t> expected = followed.first(std::min(max_tokens, followed.size()));
          ASSERT_ANSWER(exercises::look_up(context, static_cast<int>(n), static_cast<int>(max_tokens)),
                        (std::vector<int32_t>{expected.begin(), expected.end()}))
              << fmt::format("The context is {}, n {}, max_tokens {}.", fmt::join(context, " "), n, max_tokens);
        }
      }
      // With n = 1 it is what chapter 6 drafts.
      ASSERT_ANSWER(exercises::look_up(context, 1, 5), look_up(context, 1, 5))
          << fmt::format("The context is {}, n 1, max_tokens 5.", fmt::join(context, " "));
    }
  }
}

}  // namespace
}  // namespace llm
