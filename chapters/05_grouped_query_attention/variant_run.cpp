#include "chapters/05_grouped_query_attention/variant_run.h"

#include <algorithm>

#include "chapters/02_kv_cache/cached_generation.h"
#include "chapters/02_kv_cache/contiguous_kv_cache.h"
#include "chapters/04_flash_attention/attention_input.h"
#include "chapters/04_flash_attention/flash_attend.h"
#include "common/program/kernel_counts.h"
#include "common/program/token_stream.h"

namespace llm {

namespace {

AttendFn attend_of(const Transformer& model) {
  const bool flash = model.device() != Device::cpu && model.config().head_dim <= kMaxFlashHeadDim;
  return flash ? flash_attend(model.device()) : model.ops().attend;
}

}  // namespace

VariantRun run_variant(const Variant& variant, const LoadedModel& loaded, Options options) {
  const Transformer& model = *loaded.transformer;
  const std::vector<int32_t> prompt = prompt_token_ids(loaded, options);
  const GenerationParams params{options.max_tokens, options.ignore_eos, options.sampling};
  const int64_t max_length = std::min<int64_t>(model.config().context_length, std::ssize(prompt) + params.max_tokens);
  ContiguousKvCache cache(model.config(), max_length, 1, options.dtype, options.device);
  TokenStream stream(loaded, prompt);
  if (variant.given) start_kernel_counts(options.device);
  const Generation generation =
      generate_cached(model, cache, attend_of(model), prompt, params, [&](int32_t token) { stream.push(token); });
  stream.finish();

  if (!variant.given) options.reference.clear();  // it is of other weights
  ReferenceOutput naive = reference_output(loaded, options, prompt, params);
  const Comparison comparison =
      compare_outputs(naive.token_ids, naive.top_gaps, generation.token_ids(), near_tie(options.dtype));
  return {generation, max_length, cache.nbytes(), std::move(naive), comparison, {}};
}

std::vector<DecodeShape> decode_shapes(const ModelConfig& config, Device device, bool sweep) {
  if (device == Device::simt) return {};
  const int64_t longest = (std::min(config.context_length, 4096) - kDecodeSteps) / 8;
  std::vector<DecodeShape> shapes;
  for (const int64_t eighths : sweep ? std::vector<int64_t>{1, 3, 5, 7} : std::vector<int64_t>{1, 7}) {
    for (const int64_t batch : sweep ? std::vector<int64_t>{1, 4, 16, 64} : std::vector<int64_t>{1, 16}) {
      if (longest * eighths >= 2) shapes.push_back({longest * eighths, batch});
    }
  }
  return shapes;
}

std::vector<DecodePoint> measure_decode(const Transformer& model, const MachineRates& rates,
                                        const std::vector<DecodeShape>& shapes) {
  std::vector<DecodePoint> points;
  for (const DecodeShape& shape : shapes) {
    points.push_back({shape, count_bytes_per_token(model, shape), predict_decode_rate(model, rates, shape),
                      measure_decode_rate(model, attend_of(model), shape)});
  }
  return points;
}

}  // namespace llm
