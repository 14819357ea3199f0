// Work shared out among threads, where it is worth their start. Results never depend on whether it is.
#pragma once

#include <omp.h>

#include <cstdint>

namespace llm {

// OpenMP with so many threads until the end of the scope.
class Threads {
 public:
  explicit Threads(int count) : before_(omp_get_max_threads()) { omp_set_num_threads(count); }
  ~Threads() { omp_set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

// Starting the threads costs some microseconds: as long as so many simple operations on numbers. Even a parallel region
// that runs on one thread costs a good part of one, so small work must not enter any.
inline bool worth_threads(int64_t operations) { return operations >= 1 << 15 && omp_get_max_threads() > 1; }

// body(i) for each i below `count`, which together are so many operations.
template <class Body>
void parallel_for(int64_t count, int64_t operations, const Body& body) {
  if (!worth_threads(operations)) {
    for (int64_t i = 0; i < count; ++i) body(i);
    return;
  }
#pragma omp parallel for
  for (int64_t i = 0; i < count; ++i) body(i);
}

// body(thread, num_threads) on each thread.
template <class Body>
void on_all_threads(int64_t operations, const Body& body) {
  if (!worth_threads(operations)) {
    body(0, 1);
    return;
  }
#pragma omp parallel
  body(omp_get_thread_num(), omp_get_num_threads());
}

}  // namespace llm
