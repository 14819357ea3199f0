// What every CUDA source includes in place of CUDA's own headers, so that the same source compiles twice: by nvcc for a
// GPU (namespace llm::cuda), and by g++ for the simulator (namespace llm::simt), whose stand-ins have the same names.
#pragma once

#if defined(LLM_SIMT)
#define LLM_GPU simt
#include "common/simt/runtime.h"
#else
#define LLM_GPU cuda
#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#endif
