// Steps of a KvMemory without a model: which sequences come with how many new tokens.
#pragma once

#include <cstdint>
#include <tuple>
#include <vector>

#include "common/tensor/batch.h"
#include "common/tensor/device_memory.h"

namespace llm {

// Id, first position, number of new tokens.
using Part = std::tuple<int32_t, int32_t, int32_t>;

struct Step : Batch {
  explicit Step(const std::vector<Part>& parts) : Batch(1000, 50) {
    for (const auto& [id, first_position, count] : parts) {
      add(id, std::vector<int32_t>(static_cast<size_t>(count), 1), first_position, LogitRows::last);
    }
  }
};

// A list of integers that a device's kernels read.
inline std::vector<int32_t> values(TensorView view) {
  const Tensor here = to_host(view);
  const auto* const data = here.view().as<int32_t>();
  return {data, data + view.numel()};
}

}  // namespace llm
