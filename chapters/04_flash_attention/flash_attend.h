// Flash attention as the model calls it: what chapter 4's program generates with.
#pragma once

#include "common/ops/attention.h"

namespace llm {

// For every memory whose KvView it is given, contiguous or paged. On a GPU a step of one token a sequence is decoded
// with its keys shared out among blocks (flash_decoding), every other step is flash_attention_2. On the CPU a prompt
// goes through tiles in the cache; one token has nothing to gain from them and takes chapter 1's loop. Throws
// InputError where the device is not there.
AttendFn flash_attend(Device device);

}  // namespace llm
