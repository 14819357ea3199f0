// A token drawn from each row of logits: one block a row.
//
// Ordered from the likeliest token to the least, of equals the lower id first, each filter keeps a beginning of the
// list. So all that is known once its last token is, and that is found without sorting: by the digits of the tokens'
// keys, from the top, as a radix sort would read them, with a histogram for each digit, in whose bins every token
// counts 1 for top-k, and its weight for top-p (Alabi et al., "Fast k-Selection Algorithms for Graphics Processing
// Units", 2012; FlashInfer, "Sorting-Free GPU Kernels for LLM Sampling", 2025, narrows such a threshold by rejection).
// Then the kept weights are added up in the order of the ids until they exceed the random number's share of their sum.
//
// Weights are integers, 2⁴⁰ for the likeliest token. So every sum is the same in whatever order threads add to it.
#pragma once

#include "common/cuda/launch.h"
#include "common/cuda/ptx.cuh"
#include "common/cuda/warp.cuh"
#include "common/ops/sample.h"

namespace llm::LLM_GPU {

using Count = unsigned long long;  // of tokens, or of units of weight

inline constexpr int kDigitBits = 11, kBins = 1 << kDigitBits;
inline constexpr int kIdBits = 23, kKeyBits = 32 + kIdBits;  // a logit over an id: five digits
inline constexpr int kMaxVocab = 1 << kIdBits;
inline constexpr float kLargestWeight = 0x1p40f;
static_assert(kKeyBits % kDigitBits == 0);

// Where a running sum reached its target.
struct Reached {
  int index;
  Count value;    // what `index` adds to the sum
  Count missing;  // what was missing before it: from 1 to `value`
  Count before;   // the running sum before it
  Count sum;      // of all values
};

struct SampleStorage {
  unsigned low_smem[kBins], high_smem[kBins];  // the words of each bin's sum
  Count warp_sums_smem[kWarpSize];
  Reached reached_smem;
};

// One row of logits, [vocab_size], and its likeliest token's.
struct Row {
  const float* logits;
  int vocab_size;
  float largest, temperature;

  // exp((logit − largest) / temperature); 0 for NaN.
  __device__ Count weight_of(float logit) const {
    const float weight = logit == largest ? 1.0f : expf((logit - largest) / temperature);
    return weight > 0.0f ? static_cast<Count>(weight * kLargestWeight) : 0;
  }

  // Larger for what stands earlier in the list; 0 for NaN. The bits of floats are ordered as they are, once all of a
  // negative one's are flipped, and a positive one's sign.
  __device__ Count key_of(int id) const {
    const float logit = logits[id] + 0.0f;  // −0 becomes 0
    if (logit != logit) return 0;
    const unsigned bits = __float_as_uint(logit);
    const Count ordered = bits >> 31 ? ~bits : bits | 0x80000000u;
    return ordered << kIdBits | static_cast<Count>(kMaxVocab - 1 - id);
  }
};

__device__ inline float logit_of_key(Count key) {
  const auto ordered = static_cast<unsigned>(key >> kIdBits);
  return __uint_as_float(ordered >> 31 ? ordered & 0x7fffffffu : ~ordered);
}

// Shared memory adds 32 bits at once, and no more: the one addition that makes the low word overflow carries.
__device__ inline void add_to_bin(SampleStorage& smem, int bin, Count value) {
  const auto low = static_cast<unsigned>(value), high = static_cast<unsigned>(value >> 32);
  const unsigned carry = atomicAdd(&smem.low_smem[bin], low) > ~low;
  if (high + carry > 0) atomicAdd(&smem.high_smem[bin], high + carry);
}

// The first index below `size` at which the running sum of value_of(index) reaches target_of(sum of them all), which
// is from 1 to that sum. Every warp adds up a segment; the one in which it happens walks through its own again.
template <class ValueOf, class TargetOf>
__device__ Reached find_reached(SampleStorage& smem, int size, ValueOf value_of, TargetOf target_of) {
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int num_warps = static_cast<int>(blockDim.x) / kWarpSize;
  const int segment = (size + num_warps - 1) / num_warps;
  const int begin = min(size, warp * segment), end = min(size, begin + segment);
  Count sum = 0;
  for (int i = begin + lane; i < end; i += kWarpSize) sum += value_of(i);
  sum = warp_sum(sum);
  if (lane == 0) smem.warp_sums_smem[warp] = sum;
  __syncthreads();

  const Count sums = warp_running_sum(lane < num_warps ? smem.warp_sums_smem[lane] : 0);
  const Count sum_of_all = __shfl_sync(kFullWarp, sums, kWarpSize - 1), target = target_of(sum_of_all);
  Count before = __shfl_sync(kFullWarp, sums, warp) - sum;
  if (before < target && target <= before + sum) {
    unsigned lanes = 0;  // those at which the target is reached
    for (int first = begin; lanes == 0; first += kWarpSize) {
      const int i = first + lane;
      const Count value = i < end ? value_of(i) : 0;
      const Count running = before + warp_running_sum(value);
      lanes = __ballot_sync(kFullWarp, running >= target);
      if (lane == __ffs(lanes) - 1)
        smem.reached_smem = {i, value, target - (running - value), running - value, sum_of_all};
      before = __shfl_sync(kFullWarp, running, kWarpSize - 1);
    }
  }
  __syncthreads();
  return smem.reached_smem;
}

// The key of the last token kept, when tokens from key `least` up are kept, the likeliest first, until their measures
// reach target_of(the sum of all their measures). Or a lower one, down to which there is no other token.
template <class MeasureOf, class TargetOf>
__device__ Count find_last_kept(SampleStorage& smem, const Row& row, Count least, MeasureOf measure_of,
                                TargetOf target_of) {
  const int thread = static_cast<int>(threadIdx.x), num_threads = static_cast<int>(blockDim.x);
  Count prefix = 0, target = 0;  // the digits found; what is to be reached by tokens whose keys begin with them
  for (int shift = kKeyBits - kDigitBits;; shift -= kDigitBits) {
    for (int bin = thread; bin < kBins; bin += num_threads) smem.low_smem[bin] = smem.high_smem[bin] = 0;
    __syncthreads();
    for (int id = thread; id < row.vocab_size; id += num_threads) {
      const Count key = row.key_of(id);
      if (key < least || key >> (shift + kDigitBits) != prefix) continue;
      add_to_bin(smem, static_cast<int>((key >> shift) % kBins), measure_of(row.logits[id]));
    }
    __syncthreads();
    const Reached reached = find_reached(
        smem, kBins,
        [&](int i) {  // from the highest bin down
          const int bin = kBins - 1 - i;
          return static_cast<Count>(smem.high_smem[bin]) << 32 | smem.low_smem[bin];
        },
        [&](Count sum) { return shift + kDigitBits == kKeyBits ? target_of(sum) : target; });
    prefix = prefix << kDigitBits | static_cast<Count>(kBins - 1 - reached.index);
    target = reached.missing;
    // The whole bin is kept where it could spare not even the least that a token of it may measure.
    const Count lowest = prefix << shift;
    if (shift == 0 || reached.missing + measure_of(logit_of_key(lowest)) > reached.value) {
      return lowest < least ? least : lowest;
    }
  }
}

// logits [gridDim.x, vocab_size]   rows [gridDim.x]   top [gridDim.x]: in, the likeliest; out, what was drawn
__global__ void sample_kernel(const float* logits, const SampleRow* rows, int vocab_size, TopToken* top) {
  auto& smem = shared_storage<SampleStorage>();
  wait_for_earlier_kernels();
  const double uniform = rows[blockIdx.x].uniform;
  const SamplingParams params = rows[blockIdx.x].params;
  Row row{logits + static_cast<int64_t>(blockIdx.x) * vocab_size, vocab_size, 0.0f,
          static_cast<float>(params.temperature)};
  row.largest = row.logits[top[blockIdx.x].id];
  if (params.temperature == 0.0 || !(fabsf(row.largest) < INFINITY)) return;  // greedy; or nothing to divide by

  const auto weight_of = [&](float logit) { return row.weight_of(logit); };
  Count least = 1;  // the least key that is kept: all but NaNs'
  if (params.top_k > 0) {
    const auto k = static_cast<Count>(params.top_k);
    least = find_last_kept(
        smem, row, least, [](float) { return Count{1}; }, [&](Count sum) { return k < sum ? k : sum; });
  }
  if (params.top_p < 1.0) {
    least = find_last_kept(smem, row, least, weight_of, [&](Count sum) {
      const auto enough = static_cast<Count>(ceil(params.top_p * static_cast<double>(sum)));
      return enough > 0 ? enough : 1;
    });
  }
  const auto least_weight = static_cast<Count>(ceil(params.min_p * static_cast<double>(kLargestWeight)));
  const Reached drawn = find_reached(
      smem, vocab_size,
      [&](int id) {
        const Count weight = row.weight_of(row.logits[id]);
        return row.key_of(id) >= least && weight >= least_weight ? weight : 0;
      },
      [&](Count sum) {
        const auto share = static_cast<Count>(uniform * static_cast<double>(sum));
        return share < sum ? share + 1 : sum;
      });
  if (threadIdx.x != 0) return;
  const Count from_begin = drawn.before == 0 ? drawn.sum : drawn.missing - 1;
  const Count from_end = drawn.before + drawn.value == drawn.sum ? drawn.sum : drawn.value - drawn.missing;
  const double distance =
      static_cast<double>(from_begin < from_end ? from_begin : from_end) / static_cast<double>(drawn.sum);
  top[blockIdx.x] = {drawn.index, static_cast<float>(gap_of_draw(distance, params.temperature))};
}

}  // namespace llm::LLM_GPU
