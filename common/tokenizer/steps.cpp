#include "common/tokenizer/steps.h"

#include "common/error.h"

namespace llm {

namespace {

constexpr int kMaxSteps = 16;

void visit_steps(const Json& json, std::string_view list, const std::function<void(const Json&)>& visit, int& count) {
  if (json.at("type").string() == "Sequence") {
    json.at(list).for_each([&](const Json& step) { visit_steps(step, list, visit, count); });
    return;
  }
  if (++count > kMaxSteps)
    json.fail(fmt::format("is one step more than the {} supported; remove what is not needed", kMaxSteps));
  visit(json);
}

}  // namespace

void for_each_step(const Json& json, std::string_view list, const std::function<void(const Json&)>& visit) {
  int count = 0;
  visit_steps(json, list, visit, count);
}

}  // namespace llm
