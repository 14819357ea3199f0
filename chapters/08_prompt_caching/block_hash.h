// The number by which a full block is found again: a hash of its tokens and of everything before them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace llm {

// H(parent, tokens, salt). `parent` is the hash of the block before, 0 for the first one, so that equal tokens at
// another depth or after another beginning have another hash. `salt` keeps tenants apart.
using HashBlockFn = uint64_t (*)(uint64_t parent, std::span<const int32_t> tokens, std::string_view salt);

// By XXH64 (https://xxhash.com). It is fast and no secret: whoever wants to can construct two blocks of one hash, so
// whoever finds a block by it has to compare.
uint64_t hash_block(uint64_t parent, std::span<const int32_t> tokens, std::string_view salt);

}  // namespace llm
