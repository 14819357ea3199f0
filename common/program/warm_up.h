// The work that a GPU leaves until something is called for the first time.
#pragma once

#include "common/model/transformer.h"

namespace llm {

// A GPU loads a kernel when it is first launched; cuBLAS sets itself up at its first product, and chooses a kernel anew
// for every number of rows. Together that is tenths of a second, which belong to no token. Steps of 1, 2, 3, ...
// `max_rows` rows, all of them padding, bring it on.
void warm_up(const Transformer& model, int64_t max_rows = 256);

}  // namespace llm
