// The one stream on which all work runs in order, and the cuBLAS handle bound to it.
#pragma once

#include "common/cuda/check.h"

namespace llm::LLM_GPU {

cudaStream_t stream();
cublasHandle_t cublas();

}  // namespace llm::LLM_GPU
