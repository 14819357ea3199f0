#include "chapters/03_paged_attention/parallel_samples.h"

#include <fmt/format.h>

#include <algorithm>

namespace llm {

// region: samples
std::vector<Text> generate_samples(const Transformer& model, PagedKvCache& cache, const std::vector<int32_t>& prompt,
                                   const GenerationParams& params, int num_samples, const OnStep& on_step) {
  BatchedGeneration batched(model, cache, model.ops().attend, std::max<int64_t>(std::ssize(prompt), num_samples),
                            num_samples);
  std::vector<Text> samples;
  for (int i = 0; i < num_samples; ++i) {
    GenerationParams own = params;
    own.sampling.seed += static_cast<uint64_t>(i);
    samples.push_back({i, Generation(prompt, model.config(), own)});
  }

  std::vector<Text*> running = {&samples.front()};
  require(batched.step(running), "the cache is smaller than the prompt");
  for (size_t i = 1; i < samples.size(); ++i) {
    cache.fork(samples.front().id, samples[i].id);
    samples[i].num_computed_tokens = samples.front().num_computed_tokens;
    samples[i].generation.sample(batched.logits(0), 0);
    running.push_back(&samples[i]);
  }
  while (true) {
    if (on_step) on_step(running);
    std::erase_if(running, [](const Text* s) { return s->generation.finished(); });
    if (running.empty()) return samples;
    require(batched.step(running), "the cache is smaller than the samples");
  }
}
// endregion

int64_t count_shared_blocks(int64_t prompt_len, const std::vector<int64_t>& lengths, int64_t block_size) {
  const int64_t shared = prompt_len / block_size;  // full: nobody writes to them again
  const bool tail = prompt_len % block_size != 0;
  int64_t blocks = shared, still_sharing = 0;
  for (const int64_t length : lengths) {
    if (tail && length == prompt_len) {
      ++still_sharing;  // it ended before it had anything to write
    } else {
      blocks += (length + block_size - 1) / block_size - shared;
    }
  }
  return blocks + (still_sharing > 0);
}

int64_t count_copied_blocks(int64_t prompt_len, const std::vector<int64_t>& lengths, int64_t block_size) {
  if (prompt_len % block_size == 0) return 0;
  const int64_t writers = std::ranges::count_if(lengths, [&](int64_t length) { return length > prompt_len; });
  return std::min<int64_t>(writers, std::ssize(lengths) - 1);
}

std::string draw_block_tables(const PagedKvCache& cache, const std::vector<Text>& sequences) {
  constexpr size_t kMostLines = 8, kMostBlocks = 14;
  std::string text;
  for (const Text& s : std::span(sequences).first(std::min(sequences.size(), kMostLines))) {
    const std::vector<int32_t> blocks = cache.block_table(s.id);
    text += fmt::format("  sequence {}, {} tokens:", s.id, s.num_computed_tokens);
    for (size_t b = 0; b < std::min(blocks.size(), kMostBlocks); ++b) {
      const int32_t owners = cache.pool().ref_count(blocks[b]);
      text += owners > 1 ? fmt::format(" {}×{}", blocks[b], owners) : fmt::format(" {}", blocks[b]);
    }
    text += blocks.size() > kMostBlocks ? " ...\n" : "\n";
  }
  return text + (sequences.size() > kMostLines ? "  ...\n" : "");
}

}  // namespace llm
