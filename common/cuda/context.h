// The one stream on which all work runs in order, the cuBLAS handle bound to it, and the size of the device.
#pragma once

#include "common/cuda/check.h"

namespace llm::LLM_GPU {

cudaStream_t stream();
cublasHandle_t cublas();
int num_multiprocessors();

}  // namespace llm::LLM_GPU
