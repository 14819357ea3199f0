#include "common/ops/fill_random.h"
#include "common/ops/parallel.h"

namespace llm::cpu {

void fill_random(TensorView out, uint64_t key, float range) {
  const int64_t columns = out.dim(1);
  bf16* const numbers = out.as<bf16>();
  parallel_for(out.dim(0), out.numel(), [&](int64_t row) {
    const uint32_t row_key = random_row_key(key, row);
    for (int64_t i = 0; i < columns; ++i) numbers[row * columns + i] = to_bf16(random_number(row_key, i, range));
  });
}

}  // namespace llm::cpu
