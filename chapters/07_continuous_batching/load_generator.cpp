#include "chapters/07_continuous_batching/load_generator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace llm {

namespace {

// std's distributions may differ from library to library; the generator's numbers may not.
class Draws {
 public:
  explicit Draws(uint64_t seed) : random_(seed) {}
  int32_t below(int count) { return static_cast<int32_t>(random_() % static_cast<uint64_t>(count)); }
  double exponential(double mean) { return -mean * std::log1p(-static_cast<double>(random_() >> 11) * 0x1p-53); }
  int length(double mean, int most) {
    return static_cast<int>(std::min(1.0 + std::floor(exponential(mean - 0.5)), static_cast<double>(most)));
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace

std::vector<Request> make_load(const LoadParams& load, const ModelConfig& config) {
  Draws draws(load.params.sampling.seed);
  std::vector<Request> requests;
  double arrival = 0.0;
  for (int i = 0; i < load.num_requests; ++i) {
    Request request{fmt::format("r{}", i), {}, load.params};
    request.prompt.resize(static_cast<size_t>(draws.length(load.prompt_mean, config.context_length / 2)));
    for (int32_t& id : request.prompt) id = draws.below(config.vocab_size);
    const int room = config.context_length - static_cast<int>(request.prompt.size());
    request.params.max_tokens = draws.length(load.output_mean, std::min(load.params.max_tokens, room));
    request.params.ignore_eos = true;
    request.params.sampling.seed += static_cast<uint64_t>(i);
    request.arrival_step = static_cast<int64_t>(arrival);
    if (load.arrival_rate > 0.0) arrival += draws.exponential(1.0 / load.arrival_rate);
    requests.push_back(std::move(request));
  }
  return requests;
}

}  // namespace llm
