// The functions that g++ calls before each load and store in a source compiled with -fsanitize=thread. They stand in
// the place of ThreadSanitizer's runtime, which is not linked: its names and parameters, our work.
#include "common/simt/access_hooks.h"

#include "common/simt/races.h"
#include "common/simt/traffic.h"

namespace llm::simt {

namespace {

bool instrumented = false;
bool watching = false;  // while a kernel runs and there is something to watch
bool counting = false, checking = false;
AddressRange device_range, shared_range;

template <Access access>
inline void note(const void* address, size_t size, const void* code) {
  if (__builtin_expect(!watching, 1)) return;
  const auto number = reinterpret_cast<uintptr_t>(address);
  if (device_range.contains(number)) {
    if (counting) count_access(access, number, size, code);
  } else if (checking && shared_range.contains(number)) {
    check_access(access, number - shared_range.begin, size, code);
  }
}

}  // namespace

bool sources_are_instrumented() { return instrumented; }

void start_watching(AddressRange shared) {
  counting = is_counting_traffic();
  checking = is_checking_races();
  device_range = device_addresses();
  shared_range = shared;
  watching = counting || checking;
}

void stop_watching() { watching = false; }

void note_read(const void* address, size_t size, const void* code) { note<Access::read>(address, size, code); }
void note_write(const void* address, size_t size, const void* code) { note<Access::write>(address, size, code); }
void note_atomic(const void* address, size_t size, const void* code) { note<Access::atomic>(address, size, code); }

}  // namespace llm::simt

extern "C" {

// Every instrumented source has it called before main begins.
void __tsan_init() { llm::simt::instrumented = true; }
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}

#define LLM_HOOK(name, access, size)                                                        \
  void __tsan_##name(void* address) {                                                       \
    llm::simt::note<llm::simt::Access::access>(address, size, __builtin_return_address(0)); \
  }
#define LLM_HOOKS(size)                               \
  LLM_HOOK(read##size, read, size)                    \
  LLM_HOOK(write##size, write, size)                  \
  LLM_HOOK(unaligned_read##size, read, size)          \
  LLM_HOOK(unaligned_write##size, write, size)        \
  LLM_HOOK(volatile_read##size, read, size)           \
  LLM_HOOK(volatile_write##size, write, size)         \
  LLM_HOOK(unaligned_volatile_read##size, read, size) \
  LLM_HOOK(unaligned_volatile_write##size, write, size)

LLM_HOOKS(1)
LLM_HOOKS(2)
LLM_HOOKS(4)
LLM_HOOKS(8)
LLM_HOOKS(16)

void __tsan_read_range(void* address, size_t size) {
  llm::simt::note<llm::simt::Access::read>(address, size, __builtin_return_address(0));
}
void __tsan_write_range(void* address, size_t size) {
  llm::simt::note<llm::simt::Access::write>(address, size, __builtin_return_address(0));
}

// Objects with virtual functions are the host's.
void __tsan_vptr_read(void*) {}
void __tsan_vptr_update(void**, void*) {}

// The host code in these sources has atomic operations too, such as a shared_ptr's counter: they are done, and not
// told.
#define LLM_ATOMIC_HOOKS(bits, type)                                                                            \
  type __tsan_atomic##bits##_load(const volatile type* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); } \
  void __tsan_atomic##bits##_store(volatile type* p, type v, int) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); } \
  type __tsan_atomic##bits##_exchange(volatile type* p, type v, int) {                                          \
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                                         \
  }                                                                                                             \
  type __tsan_atomic##bits##_fetch_add(volatile type* p, type v, int) {                                         \
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                                          \
  }                                                                                                             \
  type __tsan_atomic##bits##_fetch_sub(volatile type* p, type v, int) {                                         \
    return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                                          \
  }                                                                                                             \
  type __tsan_atomic##bits##_fetch_and(volatile type* p, type v, int) {                                         \
    return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);                                                          \
  }                                                                                                             \
  type __tsan_atomic##bits##_fetch_or(volatile type* p, type v, int) {                                          \
    return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);                                                           \
  }                                                                                                             \
  type __tsan_atomic##bits##_fetch_xor(volatile type* p, type v, int) {                                         \
    return __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST);                                                          \
  }                                                                                                             \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile type* p, type* expected, type v, int, int) {       \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);              \
  }                                                                                                             \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile type* p, type* expected, type v, int, int) {         \
    return __atomic_compare_exchange_n(p, expected, v, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);               \
  }

LLM_ATOMIC_HOOKS(8, unsigned char)
LLM_ATOMIC_HOOKS(16, unsigned short)
LLM_ATOMIC_HOOKS(32, unsigned)
LLM_ATOMIC_HOOKS(64, unsigned long)

void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }

}  // extern "C"
