#include "chapters/08_prompt_caching/block_hash.h"

#define XXH_INLINE_ALL  // the header is all there is
#define XXH_VECTOR 0    // XXH64 has no vector code, and that of the others is none without optimization
#include <xxhash.h>

namespace llm {

// region: hash
uint64_t hash_block(uint64_t parent, std::span<const int32_t> tokens, std::string_view salt) {
  XXH64_state_t state;
  XXH64_reset(&state, 0);
  XXH64_update(&state, &parent, sizeof(parent));
  XXH64_update(&state, tokens.data(), tokens.size_bytes());
  XXH64_update(&state, salt.data(), salt.size());
  return XXH64_digest(&state);
}
// endregion

}  // namespace llm
