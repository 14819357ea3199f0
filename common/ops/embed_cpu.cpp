#include <cstring>

#include "common/ops/embed.h"
#include "common/ops/parallel.h"
#include "common/ops/widen.h"

namespace llm::cpu {

namespace {

void require_rows(Int32View rows, int64_t num_rows) {
  const int32_t* const indices = rows.as<int32_t>();
  for (int64_t i = 0; i < rows.numel(); ++i) {
    require(0 <= indices[i] && indices[i] < num_rows, "row {} of a table of {}", indices[i], num_rows);
  }
}

}  // namespace

void embed(Int32View tokens, TensorView table, TensorView out) {
  const int64_t hidden_size = table.dim(1);
  const bool shapes_agree = out.shape == Shape{tokens.numel(), hidden_size};
  require(shapes_agree, "{} tokens' embeddings of {} written to another shape", tokens.numel(), hidden_size);
  require_rows(tokens, table.dim(0));
  const int32_t* const token_data = tokens.as<int32_t>();
  float* const out_data = out.as<float>();
  parallel_for(tokens.numel(), out.numel(),
               [&](int64_t i) { widen(table, token_data[i] * hidden_size, hidden_size, out_data + i * hidden_size); });
}

void gather_rows(TensorView x, Int32View rows, TensorView out) {
  const bool shapes_agree = out.shape == Shape{rows.numel(), x.dim(1)} && out.dtype == x.dtype;
  require(shapes_agree, "{} rows of {} written to another shape", rows.numel(), x.dim(1));
  require_rows(rows, x.dim(0));
  const size_t row_bytes = static_cast<size_t>(x.dim(1)) * size_of(x.dtype);
  const int32_t* const row_data = rows.as<int32_t>();
  for (int64_t i = 0; i < rows.numel(); ++i) {
    std::memcpy(static_cast<char*>(out.data) + static_cast<size_t>(i) * row_bytes,
                static_cast<const char*>(x.data) + static_cast<size_t>(row_data[i]) * row_bytes, row_bytes);
  }
}

}  // namespace llm::cpu
