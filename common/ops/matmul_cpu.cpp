// The weight is packed in panels of two vectors' width: one row of a panel, times one number of x, is two
// multiply-adds. A tile of rows x panels keeps its sums in registers while it runs down the panels. Those of a tile lie
// far apart, so that one tile after the other reads on where the last one ended: a few long streams, which memory gives
// faster than many short ones.
//
// Batch invariance: each output is one chain of multiply-adds in the order of k per block of kDepth numbers, and the
// blocks' sums are added in order. Tiles, threads and blocks of rows only change which chains run side by side.
#include <algorithm>
#include <utility>
#include <vector>

#include "common/ops/matmul.h"
#include "common/ops/parallel.h"
#include "common/ops/vec.h"
#include "common/ops/widen.h"

namespace llm::cpu {

namespace {

constexpr int kPanelWidth = 2 * kLanes;
constexpr int64_t kDepth = 384;     // a panel's block, 24 KB in f32, stays in the first-level cache
constexpr int64_t kRowBlock = 192;  // so do these rows' blocks of x, 288 KB, in the second
constexpr int kMaxTileRows = 6;     // 6 rows x 2 vectors of sums, 2 of weights and 1 of x: 15 of 16 registers
constexpr int64_t kFewRows = 2 * kMaxTileRows;

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Range {
  int64_t begin, end;

  int64_t size() const { return end - begin; }
  // Part `index` of `count` nearly equal ones.
  Range part(int64_t index, int64_t count) const {
    return {begin + size() * index / count, begin + size() * (index + 1) / count};
  }
};

// How many panels a tile of so many rows spans: as many as leave its sums in registers.
constexpr int max_tile_panels(int64_t rows) { return rows == 1 ? 4 : static_cast<int>(6 / rows); }

// Without it GCC reads a vector from memory anew at each of its uses.
inline void keep_in_register(Vec& v) {
#if defined(__x86_64__)
  asm("" : "+x"(v));
#elif defined(__aarch64__)
  asm("" : "+w"(v));
#endif
}

// One row of a panel, as two vectors.
struct PanelRow {
  Vec low, high;
};

inline PanelRow load_panel_row(const float* panel) { return {load(panel), load(panel + kLanes)}; }

// bf16 panels hold output j beside output j + kLanes: one 32-bit load brings both, and a bf16 is a float's upper half.
inline PanelRow load_panel_row(const bf16* panel) {
  VecBits pairs;
  std::memcpy(&pairs, panel, sizeof pairs);
  return {std::bit_cast<Vec>(pairs << 16), std::bit_cast<Vec>(pairs & 0xffff0000)};
}

template <class T>
constexpr int place_in_panel_row(int j) {
  return sizeof(T) == 4 ? j : 2 * (j % kLanes) + j / kLanes;
}

// Some panels, each so many after the one before.
struct Panels {
  int64_t first, count, apart;

  int64_t at(int64_t i) const { return first + i * apart; }
};

// Outputs of some rows and panels, over a range of k.
struct Tile {
  Range rows, depth;
  Panels panels;
  const float* x;  // the first row's number at depth.begin
  int64_t x_stride;
};

// One product's operands, and the tiles that it is made of.
template <class T>
struct Product {
  const float* x;     // [rows, in_features]
  const T* panels;    // [num_panels, in_features, kPanelWidth]
  const float* bias;  // [out_features] or null
  float* out;         // [rows, out_features]
  int64_t in_features, out_features;

  const T* panel_at(int64_t panel, int64_t k) const { return panels + (panel * in_features + k) * kPanelWidth; }

  // The tile's chains, one block after the other.
  template <int Rows, int NumPanels>
  [[gnu::noinline]] void compute(const Tile& tile) const {
    const float* x_block = tile.x;
    const T* w_block = panel_at(tile.panels.first, tile.depth.begin);
    const int64_t x_stride = tile.x_stride, w_stride = tile.panels.apart * in_features * kPanelWidth;
    int64_t k_begin = tile.depth.begin;
    do {
      const int64_t depth = std::min(kDepth, tile.depth.end - k_begin);
      Vec sums[NumPanels][Rows][2] = {};
      const auto step = [&](int64_t k) __attribute__((always_inline)) {
#pragma GCC unroll 8
        for (int p = 0; p < NumPanels; ++p) {
          PanelRow w = load_panel_row(w_block + p * w_stride + k * kPanelWidth);
          if constexpr (Rows > 3) {  // with fewer, reading again costs less than a spilled sum
            keep_in_register(w.low);
            keep_in_register(w.high);
          }
#pragma GCC unroll 8
          for (int r = 0; r < Rows; ++r) {
            sums[p][r][0] += w.low * x_block[r * x_stride + k];
            sums[p][r][1] += w.high * x_block[r * x_stride + k];
          }
        }
      };
      for (int r = 0; r < Rows; ++r) {  // `out` is wanted at the end, and its rows lie far apart
        __builtin_prefetch(out + (tile.rows.begin + r) * out_features + tile.panels.first * kPanelWidth, 1);
      }
      int64_t k = 0;
      for (; k + 2 <= depth; k += 2) {
        step(k);
        step(k + 1);
      }
      if (k < depth) step(k);

      const Range block{k_begin, k_begin + depth};
      for (int p = 0; p < NumPanels; ++p) {
        for (int r = 0; r < Rows; ++r) add_block(tile.rows.begin + r, tile.panels.at(p), block, sums[p][r]);
      }
      x_block += depth;
      w_block += depth * kPanelWidth;
      k_begin += depth;
    } while (k_begin < tile.depth.end);
  }

  // A block's sums: the first set `out`, the others are added to it, the last with the bias.
  void add_block(int64_t row, int64_t panel, Range block, const Vec (&sums)[2]) const {
    const bool first = block.begin == 0, last = block.end == in_features && bias != nullptr;
    const int64_t column = panel * kPanelWidth;
    float* const y = out + row * out_features + column;
    if (column + kPanelWidth <= out_features) {
      for (int v = 0; v < 2; ++v) {
        Vec total = first ? sums[v] : load(y + v * kLanes) + sums[v];
        if (last) total += load(bias + column + v * kLanes);
        store(y + v * kLanes, total);
      }
      return;
    }
    for (int64_t j = 0; column + j < out_features; ++j) {  // the last panel reaches over the last output
      const float sum = sums[j / kLanes][j % kLanes];
      y[j] = first ? sum : y[j] + sum;
      if (last) y[j] += bias[column + j];
    }
  }

  template <int Rows>
  void compute_rows(const Tile& tile) const {
    [&]<int... P>(std::integer_sequence<int, P...>) {
      ((tile.panels.count == P + 1 ? compute<Rows, P + 1>(tile) : void()), ...);
    }
    (std::make_integer_sequence<int, max_tile_panels(Rows)>());
  }

  void compute_any(const Tile& tile) const {
    [&]<int... R>(std::integer_sequence<int, R...>) {
      ((tile.rows.size() == R + 1 ? compute_rows<R + 1>(tile) : void()), ...);
    }
    (std::make_integer_sequence<int, kMaxTileRows>());
  }

  // One or two tiles high: the weights stream past once, and the second tile finds a panel's block in the cache.
  void multiply_few(Range rows, Range panels) const {
    const int64_t tiles = ceil_div(rows.size(), kMaxTileRows),
                  blocks = tiles == 1 ? 1 : std::max<int64_t>(1, ceil_div(in_features, kDepth)),
                  widest = max_tile_panels(ceil_div(rows.size(), tiles)), apart = panels.size() / widest;
    const auto multiply = [&](Panels some) {
      for (int64_t b = 0; b < blocks; ++b) {
        const Range depth{b * kDepth, b + 1 == blocks ? in_features : (b + 1) * kDepth};
        for (int64_t t = 0; t < tiles; ++t) {
          const Range tile_rows = rows.part(t, tiles);
          compute_any({tile_rows, depth, some, x + tile_rows.begin * in_features + depth.begin, in_features});
        }
      }
    };
    for (int64_t i = 0; i < apart; ++i) multiply({panels.begin + i, widest, apart});
    multiply({panels.begin + widest * apart, panels.size() - widest * apart, 1});  // those left over, if any
  }

  // Block by block: one of x, copied to stand densely, serves all panels, and one of a panel serves all tiles, during
  // which the next panel's is fetched.
  void multiply_many(Range rows, Range panel_range) const {
    static thread_local std::vector<float> x_block(kRowBlock * kDepth);
    const int64_t tiles = ceil_div(rows.size(), kMaxTileRows),
                  num_blocks = std::max<int64_t>(1, ceil_div(in_features, kDepth));
    for (int64_t b = 0; b < num_blocks; ++b) {
      const Range depth{b * kDepth, std::min((b + 1) * kDepth, in_features)};
      for (int64_t r = 0; r < rows.size(); ++r) {
        const float* const x_row = x + (rows.begin + r) * in_features;
        std::copy(x_row + depth.begin, x_row + depth.end, x_block.data() + r * kDepth);
      }
      for (int64_t p = panel_range.begin; p < panel_range.end; ++p) {
        for (int64_t t = 0; t < tiles; ++t) {
          const Range tile_rows = rows.part(t, tiles);
          if (p + 1 < panel_range.end) prefetch(panel_at(p + 1, 0), depth.part(t, tiles));
          compute_any({tile_rows, depth, {p, 1, 1}, x_block.data() + (tile_rows.begin - rows.begin) * kDepth, kDepth});
        }
      }
    }
  }

  static void prefetch(const T* panel, Range depth) {
    for (const T* line = panel + depth.begin * kPanelWidth; line < panel + depth.end * kPanelWidth;
         line += 64 / sizeof(T)) {
      __builtin_prefetch(line, 0, 2);
    }
  }
};

template <class T>
void multiply(const Product<T>& product, int64_t rows) {
  const Range all_panels{0, ceil_div(product.out_features, kPanelWidth)};
  const int64_t row_blocks = ceil_div(rows, kRowBlock);
  on_all_threads(rows * product.in_features * product.out_features, [&](int thread, int num_threads) {
    const Range panels = all_panels.part(thread, num_threads);
    for (int64_t b = 0; b < row_blocks; ++b) {
      const Range block = Range{0, rows}.part(b, row_blocks);
      if (block.size() <= kFewRows) {
        product.multiply_few(block, panels);
      } else {
        product.multiply_many(block, panels);
      }
    }
  });
}

// The rows of the stacked parts, by their number in the stack.
struct Stack {
  std::span<const TensorView> parts;

  // Columns [column, column + count) of a row, widened.
  void read(int64_t row, int64_t column, int64_t count, float* out) const {
    size_t p = 0;
    while (row >= parts[p].dim(0)) row -= parts[p++].dim(0);
    widen(parts[p], row * parts[p].dim(1) + column, count, out);
  }
};

// A square of the source at a time, so that each of its cache lines is fetched once.
template <class T>
void pack_panel(const Stack& stack, int64_t first_row, int64_t num_rows, int64_t in_features, T* panel) {
  constexpr int64_t kColumns = 32;
  float square[kPanelWidth][kColumns] = {};
  for (int64_t k = 0; k < in_features; k += kColumns) {
    const int64_t columns = std::min(kColumns, in_features - k);
    for (int64_t j = 0; j < num_rows; ++j) stack.read(first_row + j, k, columns, square[j]);
    for (int64_t c = 0; c < columns; ++c) {
      for (int j = 0; j < kPanelWidth; ++j) {
        panel[(k + c) * kPanelWidth + place_in_panel_row<T>(j)] = from_float<T>(square[j][c]);
      }
    }
  }
}

template <class T>
void pack(const Stack& stack, const Matrix& matrix) {
  const int64_t num_panels = matrix.data.view().dim(0), panel_size = matrix.in_features * kPanelWidth;
  T* const panels = matrix.data.view().as<T>();
  parallel_for(num_panels, num_panels * panel_size, [&](int64_t p) {
    const int64_t row = p * kPanelWidth;
    pack_panel(stack, row, std::min<int64_t>(kPanelWidth, matrix.out_features - row), matrix.in_features,
               panels + p * panel_size);
  });
}

}  // namespace

Matrix make_matrix(std::span<const TensorView> parts, DType dtype) {
  require(!parts.empty(), "a matrix of no parts");
  require(dtype == DType::f32 || dtype == DType::bf16, "a matrix of {}", name_of(dtype));
  Matrix matrix;
  matrix.in_features = parts[0].dim(1);
  for (const TensorView& part : parts) {
    require(part.shape.rank() == 2 && part.dim(1) == matrix.in_features && part.dtype != DType::i32,
            "a {} part {} of a matrix with {} inputs", name_of(part.dtype), part.shape, matrix.in_features);
    matrix.out_features += part.dim(0);
  }
  matrix.data = Tensor({ceil_div(matrix.out_features, kPanelWidth), matrix.in_features, kPanelWidth}, dtype);
  if (dtype == DType::bf16) {
    pack<bf16>({parts}, matrix);
  } else {
    pack<float>({parts}, matrix);
  }
  return matrix;
}

void matmul(TensorView x, const Matrix& weight, TensorView bias, TensorView out) {
  const int64_t rows = x.dim(0), in_features = weight.in_features, out_features = weight.out_features;
  const bool shapes_agree = x.shape == Shape{rows, in_features} && out.shape == Shape{rows, out_features} &&
                            (bias.empty() || bias.shape == Shape{out_features});
  require(shapes_agree, "a matmul's shapes do not agree: {} rows, a weight [{}, {}]", rows, out_features, in_features);
  const auto run = [&]<class T>(const T* panels) {
    multiply(Product<T>{x.as<float>(), panels, bias.empty() ? nullptr : bias.as<float>(), out.as<float>(), in_features,
                        out_features},
             rows);
  };
  const TensorView panels = weight.data;
  if (panels.dtype == DType::bf16) {
    run(panels.as<bf16>());
  } else {
    run(panels.as<float>());
  }
}

}  // namespace llm::cpu
