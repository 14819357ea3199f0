// The work that a GPU leaves until something is called for the first time.
#pragma once

#include "common/model/transformer.h"

namespace llm {

// A GPU loads a kernel when it is first launched, and cuBLAS sets itself up at its first product: a tenth of a second
// that belongs to no token. Two steps that bring it on, of one row and of many, in which all tokens are padding.
void warm_up(const Transformer& model);

}  // namespace llm
