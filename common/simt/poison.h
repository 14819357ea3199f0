// Memory that nobody has written reads as NaN: all bits set, in every float format.
#pragma once

#include <cstddef>
#include <cstring>

namespace llm::simt {

inline void poison(void* memory, size_t bytes) {
  if (bytes > 0) std::memset(memory, 0xff, bytes);
}

}  // namespace llm::simt
