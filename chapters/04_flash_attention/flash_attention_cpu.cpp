// Step 7: the same idea for a processor's cache. A tile of queries keeps its O, l and m in a core's cache while tiles
// of keys and values pass, and all products run on tiles that stay there.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "chapters/04_flash_attention/attention_steps.h"
#include "common/ops/exp.h"
#include "common/ops/parallel.h"
#include "common/ops/vec.h"

namespace llm::cpu {

namespace {

// At head_dim 64 the tiles of a thread take 80 KiB, at 128 they take 144 KiB: a part of a core's second cache.
constexpr int64_t kRows = 64, kKeys = 64;
constexpr int64_t kRowsAtOnce = 4;
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

constexpr int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// c [4, VECS vectors] += a [4, inner] · b [inner, VECS vectors], the sums in registers.
template <int VECS>
void multiply_block(const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* c, int64_t c_stride,
                    int64_t inner) {
  Vec sums[kRowsAtOnce][VECS];
  for (int i = 0; i < kRowsAtOnce; ++i) {
    for (int j = 0; j < VECS; ++j) sums[i][j] = load(c + i * c_stride + j * kLanes);
  }
  for (int64_t k = 0; k < inner; ++k) {
    Vec b_part[VECS];
    for (int j = 0; j < VECS; ++j) b_part[j] = load(b + k * b_stride + j * kLanes);
    for (int i = 0; i < kRowsAtOnce; ++i) {
      for (int j = 0; j < VECS; ++j) sums[i][j] += a[i * a_stride + k] * b_part[j];
    }
  }
  for (int i = 0; i < kRowsAtOnce; ++i) {
    for (int j = 0; j < VECS; ++j) store(c + i * c_stride + j * kLanes, sums[i][j]);
  }
}

// c [rows, columns] += a [rows, inner] · b [inner, columns]; rows a multiple of 4, columns of a vector.
void multiply_add(const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* c, int64_t c_stride,
                  int64_t rows, int64_t inner, int64_t columns) {
  for (int64_t i = 0; i < rows; i += kRowsAtOnce) {
    int64_t j = 0;
    for (; j + 2 * kLanes <= columns; j += 2 * kLanes) {
      multiply_block<2>(a + i * a_stride, a_stride, b + j, b_stride, c + i * c_stride + j, c_stride, inner);
    }
    for (; j < columns; j += kLanes) {
      multiply_block<1>(a + i * a_stride, a_stride, b + j, b_stride, c + i * c_stride + j, c_stride, inner);
    }
  }
}

// One thread's tiles. A row is one query of one head.
struct CacheTiles {
  CacheTiles(int64_t max_rows, int64_t head_dim)
      : width(round_up(head_dim, kLanes)),
        Q(static_cast<size_t>(max_rows * head_dim)),
        K_transposed(static_cast<size_t>(head_dim * kKeys)),
        V(static_cast<size_t>(kKeys * width)),
        S(static_cast<size_t>(max_rows * kKeys)),
        O(static_cast<size_t>(max_rows * width)),
        m(static_cast<size_t>(max_rows)),
        l(static_cast<size_t>(max_rows)) {}

  int64_t width;  // head_dim in whole vectors
  std::vector<float> Q, K_transposed, V, S, O, m, l;
};

// A tile of queries of the heads that share a KV head.
template <class T>
struct QueryTile {
  const AttentionInput& in;
  const AttentionOutput& out;
  CacheTiles& tiles;
  int64_t sequence, kv_head, first_query, num_queries;  // queries of the sequence
  int64_t group = in.heads() / in.kv_heads(), head_dim = in.head_dim();
  int64_t first_token = in.query_start.as<int32_t>()[sequence];
  int64_t query_len = in.query_start.as<int32_t>()[sequence + 1] - first_token;
  int64_t context_len = in.context_len.as<int32_t>()[sequence];
  int64_t num_rows = num_queries * group;

  // Row r is query r / group of the tile and query head r % group of the group.
  int64_t visible(int64_t row) const {
    const int64_t query = first_query + row / group;
    return in.causal ? std::max<int64_t>(context_len - query_len + query + 1, 0) : context_len;
  }
  int64_t row_index(int64_t row) const {  // in [num_tokens, heads]
    return (first_token + first_query + row / group) * in.heads() + kv_head * group + row % group;
  }

  void load_queries() {
    const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
    std::ranges::fill(tiles.Q, 0.0f);
    for (int64_t row = 0; row < num_rows; ++row) {
      const float* const q = in.q.as<float>() + row_index(row) * head_dim;
      for (int64_t d = 0; d < head_dim; ++d) tiles.Q[static_cast<size_t>(row * head_dim + d)] = q[d] * scale;
    }
    std::ranges::fill(tiles.O, 0.0f);
    std::ranges::fill(tiles.l, 0.0f);
    std::ranges::fill(tiles.m, kMinusInfinity);
  }

  // Keys [first, first + count), widened; zeros in the rest of the tile.
  void load_keys(int64_t first, int64_t count) {
    const int32_t* const table = in.kv.block_table.as<int32_t>() + sequence * in.kv.block_table.dim(1);
    if (count < kKeys) {
      std::ranges::fill(tiles.K_transposed, 0.0f);
      std::ranges::fill(tiles.V, 0.0f);
    }
    for (int64_t i = 0; i < count; ++i) {
      const int64_t key = first + i, block_size = in.kv.block_size;
      const int64_t slot = table[key / block_size] * block_size + key % block_size;
      const int64_t offset = (slot * in.kv_heads() + kv_head) * head_dim;
      const T *const k = in.kv.k.as<T>() + offset, *const v = in.kv.v.as<T>() + offset;
      for (int64_t d = 0; d < head_dim; ++d) tiles.K_transposed[static_cast<size_t>(d * kKeys + i)] = to_float(k[d]);
      for (int64_t d = 0; d < head_dim; ++d) tiles.V[static_cast<size_t>(i * tiles.width + d)] = to_float(v[d]);
    }
  }

  // A row of S becomes exp(S − m); its O and l are brought to the new m.
  void add_scores(int64_t row, int64_t first_key) {
    float* const S = tiles.S.data() + row * kKeys;
    float* const O = tiles.O.data() + row * tiles.width;
    float &m = tiles.m[static_cast<size_t>(row)], &l = tiles.l[static_cast<size_t>(row)];
    const int64_t seen = std::clamp<int64_t>(visible(row) - first_key, 0, kKeys);
    std::fill(S + seen, S + kKeys, kMinusInfinity);
    Vec largest = load(S);
    for (int64_t j = kLanes; j < kKeys; j += kLanes) {
      const Vec part = load(S + j);
      largest = largest < part ? part : largest;
    }
    const float new_max = std::max(m, max(largest));
    const float shift = new_max == kMinusInfinity ? 0.0f : new_max, rescale = exp_f32(m - shift);
    for (int64_t j = 0; j < kKeys; ++j) S[j] = exp_f32(S[j] - shift);
    Vec sums = {};
    for (int64_t j = 0; j < kKeys; j += kLanes) sums += load(S + j);
    l = l * rescale + sum(sums);
    m = new_max;
    for (int64_t d = 0; d < tiles.width; ++d) O[d] *= rescale;
  }

  void store_rows() {
    for (int64_t row = 0; row < num_rows; ++row) {
      const float l = tiles.l[static_cast<size_t>(row)], factor = l == 0.0f ? 0.0f : 1.0f / l;
      const float* const O = tiles.O.data() + row * tiles.width;
      float* const to = out.out.as<float>() + row_index(row) * head_dim;
      for (int64_t d = 0; d < head_dim; ++d) to[d] = O[d] * factor;
      if (out.log_sum_exp.data != nullptr) {
        out.log_sum_exp.as<float>()[row_index(row)] = tiles.m[static_cast<size_t>(row)] + std::log(l);
      }
    }
  }

  // region: cpu_tile
  void run() {
    load_queries();
    const int64_t num_keys = visible(num_rows - 1), rows = round_up(num_rows, kRowsAtOnce);
    for (int64_t first = 0; first < num_keys; first += kKeys) {
      load_keys(first, std::min(kKeys, num_keys - first));
      std::fill_n(tiles.S.begin(), rows * kKeys, 0.0f);
      multiply_add(tiles.Q.data(), head_dim, tiles.K_transposed.data(), kKeys, tiles.S.data(), kKeys, rows, head_dim,
                   kKeys);
      for (int64_t row = 0; row < num_rows; ++row) add_scores(row, first);
      multiply_add(tiles.S.data(), kKeys, tiles.V.data(), tiles.width, tiles.O.data(), tiles.width, rows, kKeys,
                   tiles.width);
    }
    store_rows();
  }
  // endregion
};

// All tiles of all sequences and KV heads, those with the most keys first.
template <class T>
void attend_tiles(const AttentionInput& in, const AttentionOutput& out) {
  const int64_t group = in.heads() / in.kv_heads(), queries_of_tile = std::max<int64_t>(kRows / group, 1);
  struct Task {
    int64_t sequence, kv_head, first_query, num_queries;
  };
  std::vector<Task> tasks;
  const int32_t* const query_start = in.query_start.as<int32_t>();
  for (int64_t s = 0; s < in.num_seqs(); ++s) {
    const int64_t query_len = query_start[s + 1] - query_start[s];
    for (int64_t first = (query_len - 1) / queries_of_tile * queries_of_tile; query_len > 0 && first >= 0;
         first -= queries_of_tile) {
      for (int64_t h = 0; h < in.kv_heads(); ++h) {
        tasks.push_back({s, h, first, std::min(queries_of_tile, query_len - first)});
      }
    }
  }
  const int64_t work = in.q.numel() * in.max_context_len, max_rows = round_up(queries_of_tile * group, kRowsAtOnce);
  std::atomic<size_t> next = 0;
  on_all_threads(work, [&](int, int) {
    CacheTiles tiles(max_rows, in.head_dim());
    for (size_t i = next++; i < tasks.size(); i = next++) {
      const Task& task = tasks[i];
      QueryTile<T>{in, out, tiles, task.sequence, task.kv_head, task.first_query, task.num_queries}.run();
    }
  });
}

}  // namespace

void flash_attention(const AttentionInput& in, Workspace&, const AttentionOutput& out) {
  check_shapes(in, out);
  if (in.kv.k.dtype == DType::bf16) {
    attend_tiles<bf16>(in, out);
  } else {
    attend_tiles<float>(in, out);
  }
}

}  // namespace llm::cpu
