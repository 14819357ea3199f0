// Ten thousand requests on the embedded draft model, most of which begin like another one: nothing leaks, nothing is
// lost, and every text is chapter 2's for that request alone.
#include <random>

#include "chapters/07_continuous_batching/alone.h"
#include "chapters/08_prompt_caching/prompt_service.h"
#include "tests/chapters/08_prompt_caching/prefix_requests.h"
#include "tests/common/ops/ops_testing.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

TEST(PromptSoak, TenThousandRequests) {
  const Threads one(1);  // steps are short
  const LoadedModel model = load_model("models/stories-draft", DType::f32, Device::cpu);
  std::mt19937_64 random(8);
  std::vector<Ids> beginnings;
  for (int i = 0; i < 12; ++i) beginnings.push_back(random_ids(random, 8 + static_cast<int64_t>(random() % 60), 2048));
  std::vector<Request> requests;
  for (int64_t i = 0; i < 10'000; ++i) {
    const Ids end = random_ids(random, 1 + static_cast<int64_t>(random() % 12), 2048);
    const int max_tokens = 1 + static_cast<int>(random() % 20);
    Request request{
        std::to_string(i), join(beginnings[random() % beginnings.size()], end), {max_tokens, i % 5 != 2, {}}};
    request.arrival_step = i + static_cast<int64_t>(random() % 50);
    request.priority = static_cast<int32_t>(random() % 3);
    if (i % 4 == 1) request.params.sampling = {.temperature = 0.8, .seed = random()};
    if (i % 31 == 3) request.cancel_step = request.arrival_step + static_cast<int64_t>(random() % 20);
    if (i % 7 == 6) request.salt = "another tenant";
    requests.push_back(request);
  }

  double now = 0.0;  // blocks get too old as well
  ServiceParams params{40, 16, {.token_budget = 48, .max_chunk = 20, .max_running = 12, .policy = Policy::priority}};
  params.rules = CacheRules{.min_tokens = 16, .ttl_seconds = 900.0};
  params.clock = [&now] { return now += 0.1; };
  PromptService service(model, params, model.transformer->ops().attend);
  const std::vector<const Sequence*> sequences = service.serve(requests);
  EXPECT_EQ(service.cache().pool().num_free(), 40) << "nothing leaked";

  int64_t cached = 0, preemptions = 0;
  ASSERT_EQ(sequences.size(), requests.size()) << "nothing is lost";
  for (const Sequence* s : sequences) {
    ASSERT_TRUE(s->generation.finished()) << s->request.id;
    cached += s->num_cached_tokens;
    preemptions += s->num_preemptions;
    const Comparison comparison =
        compare_alone(generate_alone(*model.transformer, model.transformer->ops().attend, s->request), *s, 0.0f);
    ASSERT_TRUE(comparison.same) << s->request.id << ": " << describe(comparison);
  }
  EXPECT_GT(cached, 100'000) << "else the test does not test what it should";
  EXPECT_GT(preemptions, 100);
  EXPECT_GT(service.num_evicted(), 10'000);
}

}  // namespace
}  // namespace llm
