// ldmatrix and mma: what the 32 lanes of a warp do together on fragments of matrices.
#pragma once

#include "common/simt/scheduler.h"

namespace llm::simt {

// See common/cuda/ptx.cuh for the layouts.
void load_matrices(unsigned* matrices_rmem, int num_matrices, const void* row_smem, bool transposed,
                   const Place& place);
void multiply_bf16_fragments(float* acc_rmem, const unsigned* a_rmem, const unsigned* b_rmem, const Place& place);
void multiply_f16_fragments(float* acc_rmem, const unsigned* a_rmem, const unsigned* b_rmem, const Place& place);

}  // namespace llm::simt
