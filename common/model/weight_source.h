// Somewhere that weights come from, by their Hugging Face name.
#pragma once

#include <string>

#include "common/tensor/device_memory.h"

namespace llm {

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  // f32, bf16 or f16 in host memory, to be read only; it outlives the source. Throws InputError where the tensor is
  // absent, of another dtype, or of another shape.
  virtual Tensor get(const std::string& name, Shape shape) = 0;

  // The same in the memory of `device`.
  virtual Tensor get_on(Device device, const std::string& name, Shape shape) {
    return to_device(get(name, shape), device);
  }
};

}  // namespace llm
