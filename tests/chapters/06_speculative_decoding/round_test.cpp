// Formulas and counts, by hand.
#include "chapters/06_speculative_decoding/round.h"

#include <gtest/gtest.h>

#include <cmath>

#include "chapters/06_speculative_decoding/formulas.h"

namespace llm {
namespace {

TEST(SpeculationFormulas, TheWorkedExample) {
  // A target step of 50 ms, a draft step of 5 ms, verification as long as a step, k = 4.
  EXPECT_NEAR(50.0 * round_cost(4, 0.1, 1.0), 70.0, 1e-12);
  EXPECT_NEAR(5.0 / round_cost(4, 0.1, 1.0), 3.57, 0.005) << "five tokens";
  EXPECT_NEAR(1.0 / round_cost(4, 0.1, 1.0), 0.71, 0.005) << "one token";
  EXPECT_NEAR(expected_speedup(1.0, 4, 0.1, 1.0), 250.0 / 70.0, 1e-12);
  EXPECT_NEAR(expected_speedup(0.0, 4, 0.1, 1.0), 50.0 / 70.0, 1e-12);
  EXPECT_NEAR(expected_speedup(0.7, 4, 0.1, 1.15), 1.79, 0.005) << "the issue's estimate for a CPU";
}

TEST(SpeculationFormulas, AreASum) {
  for (const double alpha : {0.0, 0.3, 0.81, 0.999, 1.0}) {
    double sum = 1.0;
    for (int k = 1; k <= 8; ++k) {
      sum += std::pow(alpha, k);
      EXPECT_NEAR(expected_tokens(alpha, k), sum, 1e-12) << alpha << ", " << k;
    }
    EXPECT_EQ(expected_tokens(alpha, 0), 1.0);
  }
}

TEST(Rounds, CountsByHand) {
  const Round all_four{{1, 2, 3, 4}, {1, 2, 3, 4, 5}}, two{{1, 2, 3, 4}, {1, 2, 9}}, none{{1, 2}, {7}},
      no_draft{{}, {7}};
  const Round ended{{1, 2, 3}, {1, 2}};  // the second token ended the text
  EXPECT_EQ(all_four.num_accepted(), 4);
  EXPECT_EQ(two.num_accepted(), 2);
  EXPECT_EQ(none.num_accepted(), 0);
  EXPECT_EQ(ended.num_accepted(), 2);
  const std::vector<Round> rounds = {all_four, two, none, no_draft, ended};
  const RoundCounts counts = count_rounds(rounds);
  EXPECT_EQ(counts.rounds, 5);
  EXPECT_EQ(counts.drafted, 13);
  EXPECT_EQ(counts.accepted, 8);
  EXPECT_EQ(counts.tokens, 12);
  EXPECT_EQ(counts.judged, 4 + 3 + 1 + 0 + 2);
  EXPECT_EQ(counts.tokens_per_round(), 12.0 / 5.0);
  EXPECT_EQ(counts.acceptance(), 8.0 / 10.0);
  EXPECT_EQ(counts.acceptance_by_position(), (std::vector<double>{3.0 / 4.0, 3.0 / 4.0, 1.0 / 3.0, 1.0 / 2.0}));
  EXPECT_TRUE(std::isnan(count_rounds({}).acceptance()));
}

}  // namespace
}  // namespace llm
