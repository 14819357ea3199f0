#include "common/simt/tensor_core.h"

#include <cstring>

#include "common/simt/access_hooks.h"
#include "common/simt/warp.h"

namespace llm::simt {

namespace {

constexpr uint32_t kFullWarp = 0xffffffff;
constexpr int kMatrixRows = 8, kRowBytes = 16;  // a matrix of ldmatrix: 8 rows of 8 numbers of 16 bits

// "sync.aligned": all lanes of the warp must take part.
void require_full_warp(uint32_t lanes, const char* operation) {
  if (lanes != kFullWarp) fail_kernel("{} by the lanes {:#010x} of a warp; it needs all 32", operation, lanes);
}

struct LoadSlot {
  const char* row;
  unsigned* result;
  int num_matrices;
  bool transposed;
};

void load_slots(void* const* slots, uint32_t lanes) {
  require_full_warp(lanes, "ldmatrix");
  const auto slot = [slots](int lane) { return static_cast<const LoadSlot*>(slots[lane]); };
  const auto number = [slot](int matrix, int row, int column) {
    uint16_t bits;
    std::memcpy(&bits, slot(matrix * kMatrixRows + row)->row + column * 2, sizeof(bits));
    return static_cast<unsigned>(bits);
  };
  for (int lane = 0; lane < kLanes; ++lane) {
    const int line = lane / 4, pair = 2 * (lane % 4);
    for (int i = 0; i < slot(lane)->num_matrices; ++i) {
      slot(lane)->result[i] = slot(lane)->transposed ? number(i, pair, line) | number(i, pair + 1, line) << 16
                                                     : number(i, line, pair) | number(i, line, pair + 1) << 16;
    }
  }
}

struct MultiplySlot {
  float* acc;         // [4]
  const unsigned* a;  // [4]
  const unsigned* b;  // [2]
};

template <class T>
float half_of(unsigned bits, int which) {
  return to_float(T{static_cast<uint16_t>(bits >> (16 * which))});
}

template <class T>
void multiply_slots(void* const* slots, uint32_t lanes) {
  require_full_warp(lanes, "mma_m16n8k16");
  float a[16][16], b[16][8];
  for (int lane = 0; lane < kLanes; ++lane) {
    const auto* slot = static_cast<const MultiplySlot*>(slots[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 2; ++j) a[g + 8 * (i % 2)][2 * t + 8 * (i / 2) + j] = half_of<T>(slot->a[i], j);
    }
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 2; ++j) b[2 * t + 8 * i + j][g] = half_of<T>(slot->b[i], j);
    }
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    float* const acc = static_cast<const MultiplySlot*>(slots[lane])->acc;
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
      for (int k = 0; k < 16; ++k) acc[i] += a[row][k] * b[k][column];
    }
  }
}

}  // namespace

void load_matrices(unsigned* matrices_rmem, int num_matrices, const void* row_smem, bool transposed,
                   const Place& place) {
  if (current_lane() < num_matrices * kMatrixRows) {
    if (reinterpret_cast<uintptr_t>(row_smem) % kRowBytes != 0) {
      fail_kernel("lane {} gives {} a row at {}, which is no multiple of 16 bytes", current_lane(), place.to_string(),
                  row_smem);
    }
    note_read(row_smem, kRowBytes, __builtin_return_address(0));
  }
  LoadSlot slot{static_cast<const char*>(row_smem), matrices_rmem, num_matrices, transposed};
  meet(kFullWarp, load_slots, &slot, place);
}

void multiply_bf16_fragments(float* acc_rmem, const unsigned* a_rmem, const unsigned* b_rmem, const Place& place) {
  MultiplySlot slot{acc_rmem, a_rmem, b_rmem};
  meet(kFullWarp, multiply_slots<__nv_bfloat16>, &slot, place);
}

void multiply_f16_fragments(float* acc_rmem, const unsigned* a_rmem, const unsigned* b_rmem, const Place& place) {
  MultiplySlot slot{acc_rmem, a_rmem, b_rmem};
  meet(kFullWarp, multiply_slots<__half>, &slot, place);
}

}  // namespace llm::simt
