// Several answers to one prompt, whose keys and values they share.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "chapters/03_paged_attention/batched_generation.h"
#include "chapters/03_paged_attention/paged_kv_cache.h"

namespace llm {

// Called after each step with the samples that got a token.
using OnStep = std::function<void(std::span<Text* const> samples)>;

// The prompt passes through the model once, as sequence 0; the others are forked from it, and all draw their first
// token from the same logits. Sample i draws with the seed params.sampling.seed + i. The cache must be empty and have
// room; the sequences 0 .. num_samples - 1 stay in it.
std::vector<Text> generate_samples(const Transformer& model, PagedKvCache& cache, const std::vector<int32_t>& prompt,
                                   const GenerationParams& params, int num_samples, const OnStep& on_step = {});

// What the samples take in blocks, given how many tokens each of them holds (its prompt's among them): the full blocks
// of the prompt once, all else for each.
int64_t count_shared_blocks(int64_t prompt_len, const std::vector<int64_t>& lengths, int64_t block_size);

// How many blocks copy-on-write copies: none where the prompt ends with its block, else one for each sample that goes
// on, but for the last.
int64_t count_copied_blocks(int64_t prompt_len, const std::vector<int64_t>& lengths, int64_t block_size);

// The block table as it stands: a line a sequence, its blocks in order of position, "block×owners" where one is shared.
std::string draw_block_tables(const PagedKvCache& cache, const std::vector<Text>& sequences);

}  // namespace llm
