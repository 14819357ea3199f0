#include "chapters/01_naive_generation/reference.h"

#include "chapters/01_naive_generation/naive_generation.h"
#include "common/json/json.h"
#include "common/program/report.h"

namespace llm {

namespace {

void expect_same(const Json& field, bool same) {
  if (!same) field.fail("is not what this run uses; make the file with chapter 1 and the same flags");
}

ReferenceOutput read_reference(const LoadedModel& model, const Options& options, const std::vector<int32_t>& prompt) {
  const Json file = Json::parse_file(options.reference);
  expect_same(file.at("chapter"), file.at("chapter").integer() == 1);
  expect_same(file.at("model"), file.at("model").string() == model.name);
  expect_same(file.at("dtype"), file.at("dtype").string() == name_of(options.dtype));
  std::vector<int32_t> reference_prompt;
  file.at("prompt_token_ids").for_each([&](Json id) {
    reference_prompt.push_back(static_cast<int32_t>(id.integer(0, INT32_MAX)));
  });
  expect_same(file.at("prompt_token_ids"), reference_prompt == prompt);
  const Json details = file.at("details"), settings = details.at("settings");
  expect_same(settings, settings.dump() == settings_of(options).dump());
  const auto seed = static_cast<int64_t>(options.sampling.seed);
  expect_same(file.at("seed"), file.at("seed").integer() == seed || options.sampling.temperature == 0.0);

  ReferenceOutput reference;
  file.at("token_ids").for_each([&](Json id) {
    reference.token_ids.push_back(static_cast<int32_t>(id.integer(0, INT32_MAX)));
  });
  details.at("top_gaps").for_each([&](Json gap) { reference.top_gaps.push_back(static_cast<float>(gap.number())); });
  details.at("step_ms").for_each([&](Json ms) { reference.step_ms.push_back(ms.number()); });
  return reference;
}

}  // namespace

ReferenceOutput reference_output(const LoadedModel& model, const Options& options, const std::vector<int32_t>& prompt,
                                 const GenerationParams& params) {
  if (!options.reference.empty()) return read_reference(model, options, prompt);
  const Generation naive = generate_naive(*model.transformer, prompt, params);
  return {naive.token_ids(), naive.top_gaps(), naive.step_ms()};
}

}  // namespace llm
