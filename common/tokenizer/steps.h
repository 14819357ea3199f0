// The parts of tokenizer.json that are one step or several.
#pragma once

#include <functional>
#include <string_view>

#include "common/json/json.h"

namespace llm {

// Visits `json`, or where it is a "Sequence" the steps in its field `list`, which may be Sequences again. Throws
// InputError where there are more than 16: real files have two or three, every one takes its time and may lengthen a
// text, and a decoder's call one another.
void for_each_step(const Json& json, std::string_view list, const std::function<void(const Json& step)>& visit);

}  // namespace llm
