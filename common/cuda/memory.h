// A GPU's memory, for callers that know nothing of CUDA. The same functions stand in llm::cuda and in llm::simt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace llm {

// Words that are brought from pinned memory to the device.
struct WordList {
  uint32_t* to;
  const uint32_t* from;
  int count;
};
inline constexpr int kMaxWordLists = 8;

}  // namespace llm

#define LLM_DECLARE_GPU_MEMORY                                                                                   \
  /* Throws InputError, in one sentence, where the device can't be used. */                                      \
  void require_device();                                                                                         \
  /* At a multiple of 256 bytes, from a pool; given back in the stream's order. Throws InputError naming */      \
  /* the bytes needed and free where they are not there. */                                                      \
  std::shared_ptr<void> allocate(size_t bytes);                                                                  \
  /* Host memory from which the device copies while the host goes on. */                                         \
  std::shared_ptr<void> allocate_pinned(size_t bytes);                                                           \
  /* In the stream's order. From pinned memory it returns at once: leave `from` alone until `synchronize`. */    \
  void copy_to_device(void* to, const void* from, size_t bytes);                                                 \
  void copy_on_device(void* to, const void* from, size_t bytes);                                                 \
  /* Up to kMaxWordLists short lists, as copy_to_device, by one kernel that reads the host's memory: to start */ \
  /* a copy for each takes longer than they do. */                                                               \
  void copy_lists_to_device(std::span<const WordList> lists);                                                    \
  /* Waits for all work before it, and for the copy. */                                                          \
  void copy_to_host(void* to, const void* from, size_t bytes);                                                   \
  void synchronize();                                                                                            \
  /* Work recorded once and started as a whole: what `work` launches is recorded, not done. */                   \
  std::function<void()> record_graph(const std::function<void()>& work);

namespace llm::cuda {
LLM_DECLARE_GPU_MEMORY
}
namespace llm::simt {
LLM_DECLARE_GPU_MEMORY
}
