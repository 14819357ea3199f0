// Every PTX instruction that our kernels use, by name: assembler on a GPU, its documented meaning on the simulator.
// Sections are those of the PTX ISA manual.
#pragma once

#include "common/cuda/runtime.h"
#if defined(LLM_SIMT)
#include "common/simt/async_copy.h"
#include "common/simt/tensor_core.h"
#endif

namespace llm::LLM_GPU {

// Where a function was called, for the simulator's sentences; a GPU has no use for it.
#if defined(LLM_SIMT)
using CallSite = std::source_location;
#else
struct CallSite {
  __device__ static constexpr CallSite current() { return {}; }
};

// An address in shared memory, as the instructions want it.
__device__ __forceinline__ unsigned smem_address(const void* smem) {
  return static_cast<unsigned>(__cvta_generic_to_shared(smem));
}
#endif

// --- Loads: "Data Movement and Conversion Instructions: ld.global.nc" ---

// region: load_streaming
// 16 bytes that are read once and written by nobody meanwhile: past the L1 cache.
__device__ __forceinline__ uint4 load_streaming(const uint4* p) {
#if defined(LLM_SIMT)
  return *p;
#else
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p));
  return v;
#endif
}
// endregion

// --- Arithmetic: "ex2" ---

// 2 to the power of x, within 2 units in the last place; subnormal results are 0.
__device__ __forceinline__ float exp2_approx(float x) {
#if defined(LLM_SIMT)
  return std::exp2(x);
#else
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

// --- Launches that overlap: "griddepcontrol" ---

// Every kernel calls this before it reads what an earlier one wrote, or writes anything. Until then it may fetch
// weights: from Hopper on, the launch of a kernel overlaps the end of the one before.
__device__ __forceinline__ void wait_for_earlier_kernels() {
#if !defined(LLM_SIMT) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// --- Copies from global to shared memory that go on by themselves: "cp.async" (sm_80) ---

// Copies BYTES (4, 8 or 16, both addresses a multiple of it): the first `source_bytes` from `global`, zeros after them.
// The bytes may be read after a wait for the group in which they were committed, by other threads after a barrier too.
template <int BYTES>
__device__ __forceinline__ void cp_async(void* smem, const void* global, int source_bytes = BYTES) {
  static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16);
#if defined(LLM_SIMT)
  start_async_copy(smem, global, BYTES, source_bytes);
#else
  if constexpr (BYTES == 16) {  // past the L1 cache, which only this size can
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(smem_address(smem)), "l"(global),
                 "r"(source_bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(smem_address(smem)), "l"(global), "n"(BYTES),
                 "r"(source_bytes)
                 : "memory");
  }
#endif
}

// Closes this thread's group: all copies it has started since the last one.
__device__ __forceinline__ void cp_async_commit() {
#if defined(LLM_SIMT)
  commit_async_copies();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most PENDING of this thread's groups, the latest, are under way.
template <int PENDING>
__device__ __forceinline__ void cp_async_wait() {
#if defined(LLM_SIMT)
  wait_for_async_copies(PENDING);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#endif
}

// --- Tensor cores: "Warp-level matrix load instruction: ldmatrix" (sm_75) ---
// 8×8 matrices of 16-bit numbers. Lane 8·i + r gives the address of row r of matrix i: 16 bytes, at a multiple of 16.
// In register i lane l gets row l / 4 of matrix i, columns 2·(l % 4) and the next; transposed: column l / 4, these
// rows.

__device__ __forceinline__ void ldmatrix_x4(unsigned (&matrices_rmem)[4], const void* row_smem,
                                            [[maybe_unused]] CallSite where = CallSite::current()) {
#if defined(LLM_SIMT)
  load_matrices(matrices_rmem, 4, row_smem, false, {"ldmatrix_x4", where});
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrices_rmem[0]), "=r"(matrices_rmem[1]), "=r"(matrices_rmem[2]), "=r"(matrices_rmem[3])
               : "r"(smem_address(row_smem))
               : "memory");
#endif
}

__device__ __forceinline__ void ldmatrix_x4_trans(unsigned (&matrices_rmem)[4], const void* row_smem,
                                                  [[maybe_unused]] CallSite where = CallSite::current()) {
#if defined(LLM_SIMT)
  load_matrices(matrices_rmem, 4, row_smem, true, {"ldmatrix_x4_trans", where});
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrices_rmem[0]), "=r"(matrices_rmem[1]), "=r"(matrices_rmem[2]), "=r"(matrices_rmem[3])
               : "r"(smem_address(row_smem))
               : "memory");
#endif
}

__device__ __forceinline__ void ldmatrix_x2(unsigned (&matrices_rmem)[2], const void* row_smem,
                                            [[maybe_unused]] CallSite where = CallSite::current()) {
#if defined(LLM_SIMT)
  load_matrices(matrices_rmem, 2, row_smem, false, {"ldmatrix_x2", where});
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(matrices_rmem[0]), "=r"(matrices_rmem[1])
               : "r"(smem_address(row_smem))
               : "memory");
#endif
}

__device__ __forceinline__ void ldmatrix_x2_trans(unsigned (&matrices_rmem)[2], const void* row_smem,
                                                  [[maybe_unused]] CallSite where = CallSite::current()) {
#if defined(LLM_SIMT)
  load_matrices(matrices_rmem, 2, row_smem, true, {"ldmatrix_x2_trans", where});
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(matrices_rmem[0]), "=r"(matrices_rmem[1])
               : "r"(smem_address(row_smem))
               : "memory");
#endif
}

// --- Tensor cores: "Matrix Fragments for mma.m16n8k16 with floating point type" (sm_80) ---

// acc [16, 8] += a [16, 16] · b [16, 8], for numbers of type T: __nv_bfloat16 or __half, two to a register. With
// g = lane / 4 and t = lane % 4 the lane has
//   a: row g, columns 2t, 2t+1 | row g+8, the same | row g, columns 2t+8, 2t+9 | row g+8, the same
//   b: column g, rows 2t, 2t+1 | rows 2t+8, 2t+9
//   acc: row g, columns 2t, 2t+1; row g+8, the same
template <class T>
__device__ __forceinline__ void mma_m16n8k16(float (&acc_rmem)[4], const unsigned (&a_rmem)[4],
                                             const unsigned (&b_rmem)[2],
                                             [[maybe_unused]] CallSite where = CallSite::current());

template <>
__device__ __forceinline__ void mma_m16n8k16<__nv_bfloat16>(float (&acc_rmem)[4], const unsigned (&a_rmem)[4],
                                                            const unsigned (&b_rmem)[2],
                                                            [[maybe_unused]] CallSite where) {
#if defined(LLM_SIMT)
  multiply_bf16_fragments(acc_rmem, a_rmem, b_rmem, {"mma_m16n8k16", where});
#else
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(acc_rmem[0]), "+f"(acc_rmem[1]), "+f"(acc_rmem[2]), "+f"(acc_rmem[3])
      : "r"(a_rmem[0]), "r"(a_rmem[1]), "r"(a_rmem[2]), "r"(a_rmem[3]), "r"(b_rmem[0]), "r"(b_rmem[1]));
#endif
}

template <>
__device__ __forceinline__ void mma_m16n8k16<__half>(float (&acc_rmem)[4], const unsigned (&a_rmem)[4],
                                                     const unsigned (&b_rmem)[2], [[maybe_unused]] CallSite where) {
#if defined(LLM_SIMT)
  multiply_f16_fragments(acc_rmem, a_rmem, b_rmem, {"mma_m16n8k16", where});
#else
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(acc_rmem[0]), "+f"(acc_rmem[1]), "+f"(acc_rmem[2]), "+f"(acc_rmem[3])
      : "r"(a_rmem[0]), "r"(a_rmem[1]), "r"(a_rmem[2]), "r"(a_rmem[3]), "r"(b_rmem[0]), "r"(b_rmem[1]));
#endif
}

// --- Barriers of some of a block's warps: "bar" ---

// Barrier `id` (0 is that of __syncthreads, so 1 to 15) opens when `num_threads` have come, a multiple of 32: those who
// sync wait for it, those who arrive go on.
__device__ __forceinline__ void bar_sync(int id, int num_threads,
                                         [[maybe_unused]] CallSite where = CallSite::current()) {
#if defined(LLM_SIMT)
  sync_named_barrier(id, num_threads, where);
#else
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(num_threads) : "memory");
#endif
}

__device__ __forceinline__ void bar_arrive(int id, int num_threads,
                                           [[maybe_unused]] CallSite where = CallSite::current()) {
#if defined(LLM_SIMT)
  arrive_named_barrier(id, num_threads, where);
#else
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(num_threads) : "memory");
#endif
}

}  // namespace llm::LLM_GPU
