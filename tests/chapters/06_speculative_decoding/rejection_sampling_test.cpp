// Tokens of q become tokens of p: by hand, at the edges, and in distribution.
#include "chapters/06_speculative_decoding/rejection_sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "chapters/06_speculative_decoding/distribution_check.h"
#include "tests/support/chi_square.h"

namespace llm {
namespace {

using Probabilities = std::vector<double>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr double kAlmostOne = 1.0 - 0x1p-53;  // the largest uniform number

void expect_near(const Probabilities& actual, const Probabilities& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-15) << "token " << i;
}

// ---- by hand: the page's example ----

TEST(RejectionSampling, TheWorkedExample) {
  const Probabilities p = {0.5, 0.1, 0.4}, q = {0.2, 0.5, 0.3};
  EXPECT_NEAR(acceptance_rate(p, q), 0.6, 1e-15);
  expect_near(residual_distribution(p, q, 1), {0.75, 0.0, 0.25});
  EXPECT_TRUE(accepts(p, q, 0, kAlmostOne)) << "more likely in p";
  EXPECT_TRUE(accepts(p, q, 1, 0.19)) << "with probability 0.1 / 0.5";
  EXPECT_FALSE(accepts(p, q, 1, 0.21));
  // What comes out: accepted ones and replacements together.
  for (size_t x = 0; x < 3; ++x) {
    EXPECT_NEAR(std::min(p[x], q[x]) + 0.4 * residual_distribution(p, q, 1)[x], p[x], 1e-15);
  }
}

TEST(RejectionSampling, AOneHotDraft) {
  const Probabilities p = {0.5, 0.1, 0.4};
  EXPECT_TRUE(accepts(p, {}, 2, 0.39)) << "with probability p";
  EXPECT_FALSE(accepts(p, {}, 2, 0.41));
  expect_near(residual_distribution(p, {}, 2), {0.5 / 0.6, 0.1 / 0.6, 0.0});
  expect_near(residual_distribution(Probabilities{0.0, 1.0}, {}, 0), {0.0, 1.0});
}

// ---- edges ----

TEST(RejectionSampling, WhereQIsZero) {
  const Probabilities p = {0.5, 0.0, 0.5}, q = {0.0, 0.0, 1.0};
  EXPECT_TRUE(accepts(p, q, 0, kAlmostOne)) << "possible in p";
  EXPECT_FALSE(accepts(p, q, 1, 0.0)) << "impossible in both";
  EXPECT_FALSE(accepts(Probabilities{0.0, 1.0}, Probabilities{0.5, 0.5}, 0, 0.0))
      << "impossible in p, at the smallest number";
}

TEST(RejectionSampling, WherePIsQ) {
  const Probabilities p = {0.1, 0.2, 0.3, 0.4};
  for (int32_t x = 0; x < 4; ++x) EXPECT_TRUE(accepts(p, p, x, kAlmostOne)) << "never rejected, not even by rounding";
  expect_near(residual_distribution(p, p, 0), p);
  EXPECT_NEAR(acceptance_rate(p, p), 1.0, 1e-15);
}

TensorView rows_of(std::vector<float>& logits, int64_t vocab_size) {
  return {logits.data(), {std::ssize(logits) / vocab_size, vocab_size}, DType::f32, Device::cpu};
}

std::vector<int32_t> ids_of(const std::vector<TopToken>& tokens) {
  std::vector<int32_t> ids;
  for (const TopToken& token : tokens) ids.push_back(token.id);
  return ids;
}

// Token 0 and the last one of an odd-sized vocabulary, one of them certain: each is accepted, replaced and added.
TEST(RejectionSampling, TheFirstAndTheLastToken) {
  for (const int64_t vocab_size : {1, 2, 3, 31, 131}) {
    for (const int32_t certain : {0, static_cast<int32_t>(vocab_size) - 1}) {
      std::vector<float> logits(static_cast<size_t>(3 * vocab_size), 0.0f);
      for (size_t row = 0; row < 3; ++row) {
        logits[row * static_cast<size_t>(vocab_size) + static_cast<size_t>(certain)] = 1e4f;
      }
      const auto other = static_cast<int32_t>((certain + 1) % vocab_size);
      Sampler sampler({.temperature = 1.0, .top_k = 0, .top_p = 1.0, .min_p = 0.0, .seed = 3});
      const TensorView rows = rows_of(logits, vocab_size);
      EXPECT_EQ(ids_of(accept_sampled(rows, {{certain, certain}, {}}, sampler)),
                (std::vector{certain, certain, certain}));
      if (vocab_size == 1) continue;
      EXPECT_EQ(ids_of(accept_sampled(rows, {{certain, other}, {}}, sampler)), (std::vector{certain, certain}));
      EXPECT_EQ(ids_of(accept_sampled(rows, {{other, certain}, {}}, sampler)), (std::vector{certain}));
    }
  }
}

// NaN counts as never; a row of nothing else is token 0's, as in ordinary sampling.
TEST(RejectionSampling, LogitsThatAreNoNumbers) {
  std::vector<float> logits = {kNan, 2.0f, kNan, 2.0f, kNan, kNan, kNan, kNan};
  Sampler sampler({.temperature = 1.0, .top_k = 0, .top_p = 1.0, .min_p = 0.0, .seed = 1});
  int64_t second = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::vector<int32_t> ids = ids_of(accept_sampled(rows_of(logits, 4), {{1}, {}}, sampler));
    ASSERT_TRUE(ids == std::vector<int32_t>({1, 0}) || ids == std::vector<int32_t>({3})) << ids.size();
    second += ids[0] == 3;
  }
  EXPECT_NEAR(static_cast<double>(second), 500.0, 80.0);
  EXPECT_EQ(ids_of(accept_sampled(rows_of(logits, 4), {{0}, {}}, sampler)).size(), 1u) << "a NaN's token never stands";
}

TEST(RejectionSampling, GreedyStopsAtTheFirstOther) {
  const std::vector<TopToken> likeliest = {{5, 1.0f}, {6, 2.0f}, {7, 3.0f}};
  EXPECT_EQ(ids_of(accept_greedy(likeliest, {{5, 6}, {}})), (std::vector<int32_t>{5, 6, 7}));
  EXPECT_EQ(ids_of(accept_greedy(likeliest, {{5, 7}, {}})), (std::vector<int32_t>{5, 6}));
  EXPECT_EQ(ids_of(accept_greedy(likeliest, {{4, 6}, {}})), (std::vector<int32_t>{5}));
  EXPECT_EQ(ids_of(accept_greedy(likeliest, {{}, {}})), (std::vector<int32_t>{5}));
  EXPECT_EQ(accept_greedy(likeliest, {{5, 6}, {}})[1].gap, 2.0f);
}

// ---- in distribution: a vocabulary of 10, two tokens drafted, each depending on the one before ----

constexpr int kVocab = 10;
constexpr size_t kLength =
    5;  // of each text: up to five rounds, in which every position of a draft comes at each place

// Logits of the next token, by the last one.
struct Chain {
  std::vector<std::vector<float>> logits;

  explicit Chain(unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, 1.2f);
    logits.assign(kVocab, std::vector<float>(kVocab));
    for (auto& row : logits) {
      for (float& logit : row) logit = normal(random);
    }
  }
  Probabilities next(int32_t last, const SamplingParams& params) const {
    return token_distribution(logits[static_cast<size_t>(last)], params);
  }
};

enum class HowDrafted { drawn, one_hot, with_a_wrong_q };

Draft draft_two(const Chain& chain, int32_t last, HowDrafted how, Sampler& sampler) {
  Draft draft;
  for (int i = 0; i < 2; ++i) {
    const Probabilities q = chain.next(last, sampler.params());
    last = how == HowDrafted::one_hot ? (3 * last + 1) % kVocab : draw(q, sampler.uniform()).id;
    draft.tokens.push_back(last);
    if (how == HowDrafted::drawn) draft.q.push_back(q);
    if (how == HowDrafted::with_a_wrong_q) draft.q.emplace_back(kVocab, 1.0 / kVocab);
  }
  return draft;
}

// How often each pair of neighbors came, by place, and each token after a draft that stood as a whole.
struct Observed {
  std::vector<std::vector<int64_t>> pairs{kLength, std::vector<int64_t>(kVocab* kVocab)};
  std::vector<std::vector<int64_t>> bonus{kVocab, std::vector<int64_t>(kVocab)};  // by the token before
  int64_t num_texts = 0;
};

Observed observe(const Chain& target, const Chain& drafting, const SamplingParams& params, HowDrafted how,
                 int64_t num_texts) {
  Observed observed;
  observed.num_texts = num_texts;
  Sampler sampler(params);
  std::vector<float> logits;
  for (int64_t i = 0; i < num_texts; ++i) {
    std::vector<int32_t> text = {0};
    while (text.size() <= kLength) {
      const Draft draft = draft_two(drafting, text.back(), how, sampler);
      logits = target.logits[static_cast<size_t>(text.back())];
      for (const int32_t token : draft.tokens) {
        const auto& row = target.logits[static_cast<size_t>(token)];
        logits.insert(logits.end(), row.begin(), row.end());
      }
      const std::vector<int32_t> tokens = ids_of(accept_sampled(rows_of(logits, kVocab), draft, sampler));
      if (tokens.size() == 3) ++observed.bonus[static_cast<size_t>(tokens[1])][static_cast<size_t>(tokens[2])];
      text.insert(text.end(), tokens.begin(), tokens.end());
    }
    for (size_t place = 0; place < kLength; ++place) {
      ++observed.pairs[place][static_cast<size_t>(text[place] * kVocab + text[place + 1])];
    }
  }
  return observed;
}

// The target's own: of two neighbors at a place.
std::vector<Probabilities> expected_pairs(const Chain& target, const SamplingParams& params) {
  std::vector<Probabilities> pairs;
  Probabilities last(kVocab, 0.0);
  last[0] = 1.0;
  for (size_t place = 0; place < kLength; ++place) {
    Probabilities pair(kVocab * kVocab), next(kVocab, 0.0);
    for (size_t x = 0; x < kVocab; ++x) {
      const Probabilities p = target.next(static_cast<int32_t>(x), params);
      for (size_t y = 0; y < kVocab; ++y) {
        pair[x * kVocab + y] = last[x] * p[y];
        next[y] += pair[x * kVocab + y];
      }
    }
    pairs.push_back(pair);
    last = next;
  }
  return pairs;
}

double distance(const std::vector<int64_t>& counts, const Probabilities& p, int64_t n) {
  double sum = 0.0;
  for (size_t i = 0; i < p.size(); ++i) sum += std::abs(static_cast<double>(counts[i]) / static_cast<double>(n) - p[i]);
  return sum / 2.0;
}

const SamplingParams kPlain{.temperature = 1.0, .top_k = 0, .top_p = 1.0, .min_p = 0.0, .seed = 11};
const SamplingParams kFiltered{.temperature = 0.8, .top_k = 8, .top_p = 0.95, .min_p = 0.03, .seed = 12};

TEST(RejectionSampling, EveryPositionFollowsTheTarget) {
  const Chain target(1), drafting(2);
  for (const HowDrafted how : {HowDrafted::drawn, HowDrafted::one_hot}) {
    for (const SamplingParams& params : {kPlain, kFiltered}) {
      const bool longest = how == HowDrafted::drawn && params.top_k == 0;
      const Observed observed = observe(target, drafting, params, how, longest ? 100'000 : 20'000);
      const std::vector<Probabilities> expected = expected_pairs(target, params);
      for (size_t place = 0; place < kLength; ++place) {
        EXPECT_LT(chi_square(observed.pairs[place], expected[place], observed.num_texts),
                  chi_square_limit(expected[place]))
            << "place " << place << ", " << static_cast<int>(how) << ", top-k " << params.top_k;
      }
      int64_t all_bonus = 0;
      for (size_t last = 0; last < kVocab; ++last) {
        const Probabilities p = target.next(static_cast<int32_t>(last), params);
        const int64_t n = std::accumulate(observed.bonus[last].begin(), observed.bonus[last].end(), int64_t{0});
        EXPECT_LT(chi_square(observed.bonus[last], p, n), chi_square_limit(p)) << "the bonus token after " << last;
        all_bonus += n;
      }
      EXPECT_GT(all_bonus, 300) << "else the bonus token was hardly tested";
    }
  }
}

// The test above is able to fail: with another q than that which was drawn from, the text is another.
TEST(RejectionSampling, AWrongQIsNoticed) {
  const Chain target(1), drafting(2);
  const Observed observed = observe(target, drafting, kPlain, HowDrafted::with_a_wrong_q, 20'000);
  const std::vector<Probabilities> expected = expected_pairs(target, kPlain);
  for (size_t place = 0; place < kLength; ++place) {
    EXPECT_GT(chi_square(observed.pairs[place], expected[place], observed.num_texts),
              2.0 * chi_square_limit(expected[place]))
        << "place " << place;
  }
}

TEST(RejectionSampling, TheDistanceFallsWithTheSamples) {
  const Chain target(1), drafting(2);
  const Probabilities expected = expected_pairs(target, kPlain)[2];
  double last = 1.0;
  for (const int64_t n : {100, 1'000, 10'000, 100'000}) {
    const double now = distance(observe(target, drafting, kPlain, HowDrafted::drawn, n).pairs[2], expected, n);
    EXPECT_LT(now, 0.5 * last) << n << " samples: it falls with the square root, by 3.2 at each step";
    last = now;
  }
  EXPECT_LT(last, 0.015);
}

TEST(DistributionCheck, TellsRightFromWrong) {
  const Chain target(3), drafting(4);
  const Probabilities p = target.next(0, kPlain), q = drafting.next(0, kPlain);
  Sampler sampler(kPlain);
  const DistributionCheck right = check_distribution(p, {{0}, {q}}, 20'000, sampler);
  EXPECT_LT(right.distance, right.limit);
  EXPECT_LT(right.limit, 0.04);
  const DistributionCheck copied = check_distribution(p, {{4}, {}}, 20'000, sampler);
  EXPECT_LT(copied.distance, copied.limit);
  const Probabilities other = target.next(1, kPlain);  // as if the draws had followed another p
  double apart = 0.0;
  for (size_t x = 0; x < kVocab; ++x) apart += 0.5 * std::abs(p[x] - other[x]);
  EXPECT_GT(apart, right.limit) << "a distance like this is found";
}

}  // namespace
}  // namespace llm
