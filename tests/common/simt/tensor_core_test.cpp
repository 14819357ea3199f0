#include "common/simt/tensor_core.h"

#include <cstring>

#include "common/cuda/ptx.cuh"
#include "tests/common/simt/kernel_test.h"

namespace llm::simt {
namespace {

constexpr int kMatrices = 4, kRows = 8, kColumns = 8;

// Rows are kept 16 numbers apart, in reverse, so that only the addresses that lanes give can find them.
struct MatricesStorage {
  alignas(16) uint16_t rows_smem[kMatrices * kRows][16];
};

template <int NUM, bool TRANSPOSED>
__global__ void load_kernel(unsigned* out) {
  auto& smem = shared_storage<MatricesStorage>();
  const int lane = static_cast<int>(threadIdx.x), row = kMatrices * kRows - 1 - lane;
  for (int column = 0; column < kColumns; ++column) {
    smem.rows_smem[row][column] = static_cast<uint16_t>(lane / kRows * 1000 + lane % kRows * 10 + column);
  }
  __syncwarp();
  // The addresses of the lanes that no matrix needs are not looked at.
  const void* address = lane < NUM * kRows ? &smem.rows_smem[row][0] : nullptr;
  unsigned matrices_rmem[NUM];
  if constexpr (NUM == 4 && !TRANSPOSED) ldmatrix_x4(matrices_rmem, address);
  if constexpr (NUM == 4 && TRANSPOSED) ldmatrix_x4_trans(matrices_rmem, address);
  if constexpr (NUM == 2 && !TRANSPOSED) ldmatrix_x2(matrices_rmem, address);
  if constexpr (NUM == 2 && TRANSPOSED) ldmatrix_x2_trans(matrices_rmem, address);
  for (int i = 0; i < NUM; ++i) out[lane * NUM + i] = matrices_rmem[i];
}

template <int NUM, bool TRANSPOSED>
void expect_layout() {
  SCOPED_TRACE(testing::Message() << NUM << (TRANSPOSED ? " transposed" : ""));
  DeviceArray<unsigned> out(32 * NUM);
  launch<load_kernel<NUM, TRANSPOSED>>({1, 32, sizeof(MatricesStorage)}, out.data());
  const std::vector<unsigned> values = out.values();
  for (unsigned lane = 0; lane < 32; ++lane) {
    for (unsigned i = 0; i < NUM; ++i) {
      const auto number = [&](unsigned line, unsigned pair) {
        return 1000 * i + (TRANSPOSED ? 10 * pair + line : 10 * line + pair);
      };
      const unsigned low = number(lane / 4, 2 * (lane % 4)), high = number(lane / 4, 2 * (lane % 4) + 1);
      EXPECT_EQ(values[lane * NUM + i], low | high << 16) << "lane " << lane << ", matrix " << i;
    }
  }
}

TEST(TensorCore, LdmatrixGivesTheDocumentedLayout) {
  in_every_order([] {
    expect_layout<4, false>();
    expect_layout<4, true>();
    expect_layout<2, false>();
    expect_layout<2, true>();
  });
}

__global__ void unaligned_row_kernel() {
  auto& smem = shared_storage<MatricesStorage>();
  unsigned matrices_rmem[2];
  ldmatrix_x2(matrices_rmem, &smem.rows_smem[threadIdx.x][threadIdx.x == 9 ? 4 : 0]);
}

TEST(TensorCore, LdmatrixWantsAlignedRows) {
  const std::string sentence = kernel_error_of([] { launch<unaligned_row_kernel>({1, 32, sizeof(MatricesStorage)}); });
  EXPECT_NE(sentence.find("lane 9 gives ldmatrix_x2 (tensor_core_test.cpp:"), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("no multiple of 16 bytes"), std::string::npos) << sentence;
}

template <class T>
__device__ unsigned pair(T low, T high) {
  return low.bits | static_cast<unsigned>(high.bits) << 16;
}

// acc [16, 8] += a [16, 16] · b [16, 8], all row-major in global memory. The fragments are those of PTX ISA's figures
// "MMA .m16n8k16 fragment layout for matrix A / B / accumulator with .bf16 or .f16 type", formula by formula.
template <class T>
__global__ void multiply_kernel(const T* a, const T* b, float* acc) {
  const int lane = static_cast<int>(threadIdx.x), group = lane >> 2, thread_in_group = lane % 4;
  unsigned a_rmem[4], b_rmem[2];
  float acc_rmem[4];
  const auto a_at = [&](int i) {
    const int row = (0 <= i && i < 2) || (4 <= i && i < 6) ? group : group + 8;
    const int column = i < 4 ? thread_in_group * 2 + (i & 1) : thread_in_group * 2 + (i & 1) + 8;
    return a[row * 16 + column];
  };
  const auto b_at = [&](int i) {
    const int row = i < 2 ? thread_in_group * 2 + (i & 1) : thread_in_group * 2 + (i & 1) + 8;
    return b[row * 8 + group];
  };
  const auto acc_at = [&](int i) -> float& {
    const int row = i < 2 ? group : group + 8;
    return acc[row * 8 + thread_in_group * 2 + (i & 1)];
  };
  for (int i = 0; i < 4; ++i) a_rmem[i] = pair(a_at(2 * i), a_at(2 * i + 1));
  for (int i = 0; i < 2; ++i) b_rmem[i] = pair(b_at(2 * i), b_at(2 * i + 1));
  for (int i = 0; i < 4; ++i) acc_rmem[i] = acc_at(i);
  mma_m16n8k16<T>(acc_rmem, a_rmem, b_rmem);
  for (int i = 0; i < 4; ++i) acc_at(i) = acc_rmem[i];
}

template <class T>
void expect_product(T (*narrow)(float)) {
  // A different whole number everywhere, small enough that all formats hold it and all sums are exact.
  std::vector<T> a(16 * 16), b(16 * 8);
  std::vector<float> acc(16 * 8);
  for (size_t i = 0; i < a.size(); ++i) a[i] = narrow(static_cast<float>(i) - 128.0f);
  for (size_t i = 0; i < b.size(); ++i) b[i] = narrow(static_cast<float>(2 * i) - 127.0f);
  for (size_t i = 0; i < acc.size(); ++i) acc[i] = static_cast<float>(1000 * i);
  DeviceArray<T> a_device(a), b_device(b);
  DeviceArray<float> acc_device(acc);
  launch<multiply_kernel<T>>({1, 32}, a_device.data(), b_device.data(), acc_device.data());
  const std::vector<float> result = acc_device.values();
  for (size_t row = 0; row < 16; ++row) {
    for (size_t column = 0; column < 8; ++column) {
      float expected = acc[row * 8 + column];
      for (size_t k = 0; k < 16; ++k) expected += to_float(a[row * 16 + k]) * to_float(b[k * 8 + column]);
      EXPECT_EQ(result[row * 8 + column], expected) << "row " << row << ", column " << column;
    }
  }
}

TEST(TensorCore, MmaMultipliesTheDocumentedFragments) {
  in_every_order([] {
    expect_product<__nv_bfloat16>(__float2bfloat16);
    expect_product<__half>(__float2half);
  });
}

// As attention does it: both operands by ldmatrix, b [n, k] row-major for which no transposition is needed, and b [k,
// n], for which it is.
struct TilesStorage {
  alignas(16) __half a_smem[16][16];
  alignas(16) __half b_smem[8][16];
  alignas(16) __half b_rows_smem[16][8];
};

template <bool B_IN_ROWS>
__global__ void tiles_kernel(const __half* a, const __half* b, float* out) {
  auto& smem = shared_storage<TilesStorage>();
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < 16 * 16; i += 32) smem.a_smem[i / 16][i % 16] = a[i];
  for (int i = lane; i < 8 * 16; i += 32) {
    smem.b_smem[i / 16][i % 16] = b[i];
    smem.b_rows_smem[i % 16][i / 16] = b[i];
  }
  __syncwarp();
  unsigned a_rmem[4], b_rmem[2];
  ldmatrix_x4(a_rmem, &smem.a_smem[lane % 16][lane / 16 * 8]);
  if constexpr (B_IN_ROWS) {
    ldmatrix_x2_trans(b_rmem, &smem.b_rows_smem[lane % 16][0]);
  } else {
    ldmatrix_x2(b_rmem, &smem.b_smem[lane % 8][lane / 8 % 2 * 8]);
  }
  float acc_rmem[4] = {};
  mma_m16n8k16<__half>(acc_rmem, a_rmem, b_rmem);
  for (int i = 0; i < 4; ++i) out[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = acc_rmem[i];
}

TEST(TensorCore, LdmatrixFeedsMma) {
  std::vector<__half> a(16 * 16), b(8 * 16);
  for (size_t i = 0; i < a.size(); ++i) a[i] = __float2half(static_cast<float>(i % 61) - 30.0f);
  for (size_t i = 0; i < b.size(); ++i) b[i] = __float2half(static_cast<float>(i % 37) - 18.0f);
  DeviceArray<__half> a_device(a), b_device(b);
  const auto expect_right = [&](const std::vector<float>& result) {
    for (size_t row = 0; row < 16; ++row) {
      for (size_t column = 0; column < 8; ++column) {
        float expected = 0.0f;
        for (size_t k = 0; k < 16; ++k) expected += to_float(a[row * 16 + k]) * to_float(b[column * 16 + k]);
        EXPECT_EQ(result[row * 8 + column], expected) << "row " << row << ", column " << column;
      }
    }
  };
  in_every_order([&] {
    check_races(kInstrumented);
    DeviceArray<float> out(16 * 8);
    launch<tiles_kernel<false>>({1, 32, sizeof(TilesStorage)}, a_device.data(), b_device.data(), out.data());
    expect_right(out.values());
    launch<tiles_kernel<true>>({1, 32, sizeof(TilesStorage)}, a_device.data(), b_device.data(), out.data());
    expect_right(out.values());
    check_races(false);
  });
}

__global__ void half_a_warp_kernel() {
  float acc_rmem[4] = {};
  const unsigned a_rmem[4] = {}, b_rmem[2] = {};
  if (threadIdx.x < 16) mma_m16n8k16<__half>(acc_rmem, a_rmem, b_rmem);
}

TEST(TensorCore, NeedsAWholeWarp) {
  in_every_order([] {
    EXPECT_EQ(
        kernel_error_of([] {
          launch<half_a_warp_kernel>({1, 32});
        }),
        "kernel half_a_warp_kernel, block (0, 0, 0): mma_m16n8k16 by the lanes 0x0000ffff of a warp; it needs all "
        "32");
  });
}

}  // namespace
}  // namespace llm::simt
