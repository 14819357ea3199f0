// What repetitions of one measurement come to.
#pragma once

#include <algorithm>
#include <vector>

#include "common/json/json.h"
#include "common/program/format.h"

namespace llm {

// Median, smallest and largest, and how many.
inline Json summary(const std::vector<double>& values) {
  const auto [smallest, largest] = std::minmax_element(values.begin(), values.end());
  Json json = Json::object();
  json.set("median", median(values)).set("min", *smallest).set("max", *largest);
  return json.set("repetitions", static_cast<int64_t>(values.size()));
}

inline double median_of(const Json& summary) { return summary.at("median").number(); }

}  // namespace llm
