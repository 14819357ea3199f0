// Scratch memory of one forward pass: taken in order, given back all at once.
#pragma once

#include <vector>

#include "common/tensor/tensor.h"

namespace llm {

// A bump allocator. After the first step of a given size and the `reset` behind it, it allocates nothing, and the same
// sequence of `take` calls returns the same addresses, which is what a captured CUDA graph needs.
class Workspace {
 public:
  explicit Workspace(Device device = Device::cpu) : device_(device) {}

  // Uninitialized memory at a multiple of 256 bytes, valid until `reset` or the end of the surrounding Scope.
  TensorView take(Shape shape, DType dtype);

  // Gives everything back. Views taken before must not be used afterwards.
  void reset();

  // Gives back at its end what was taken since its beginning: a layer's scratch, an attention kernel's.
  class Scope {
   public:
    explicit Scope(Workspace& workspace) : workspace_(workspace), chunk_(workspace.chunk_), used_(workspace.used_) {}
    ~Scope() {
      workspace_.chunk_ = chunk_;
      workspace_.used_ = used_;
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Workspace& workspace_;
    size_t chunk_, used_;
  };

  size_t capacity() const;  // bytes held

 private:
  Device device_;
  std::vector<Tensor> chunks_;
  size_t chunk_ = 0;  // the chunk being filled
  size_t used_ = 0;   // bytes taken from it
};

}  // namespace llm
