#include "bench/ladder/long_ladder.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <map>

#include "bench/ladder/ladder.h"
#include "bench/summary.h"
#include "common/error.h"
#include "common/tensor/device_memory.h"

namespace llm {

std::vector<LadderCase> ladder_cases() {
  std::vector<LadderCase> cases;
  const auto add = [&](const std::string& device) {
    cases.insert(cases.end(), {{"models/stories", device, "f32", 32, 32},
                               {"models/stories", device, "f32", 128, 128},
                               {"models/stories", device, "bf16", 128, 128},
                               {"random:llama2c-15m", device, "f32", 32, 32},
                               {"random:llama2c-15m", device, "bf16", 32, 32},
                               {"random:llama2c-110m", device, "f32", 32, 32, 2}});
  };
  add("cpu");
  try {
    require_device(Device::cuda);
    add("cuda");
  } catch (const InputError&) {  // no GPU: the CPU's rows are all there is
  }
  return cases;
}

namespace {

// The case as a chapter's flags; its own work beside the text is made small.
std::vector<std::string> arguments_of(const LadderCase& setting, int chapter) {
  std::string tokens;
  for (int i = 0; i < setting.prompt_tokens; ++i) tokens += fmt::format("{}{}", i == 0 ? "" : ",", 3 + 37 * i % 1000);
  std::vector<std::string> arguments = {
      "--model",     setting.model, "--device", setting.device, "--dtype",
      setting.dtype, "--tokens",    tokens,     "--max-tokens", std::to_string(setting.max_tokens),
      "--ignore-eos"};
  const auto add = [&](const char* flag, const char* value) { arguments.insert(arguments.end(), {flag, value}); };
  if (chapter == 5) add("--documents", "1");
  if (chapter == 7) add("--num-requests", "7");  // with the text as many as there are slots
  if (chapter == 8) add("--load-length", "128");
  return arguments;
}

// What one chapter gave in one case, run after run.
struct Measured {
  std::vector<double> tokens_per_second, ttft_ms;
  Json last = Json::object();
  bool same_output = true;
  std::string not_measured = "time was over before its turn";
};

int chapter_of(const std::filesystem::path& program) { return std::stoi(program.filename().string().substr(8)); }

void run_once(const LongLadder& ladder, const LadderCase& setting, const std::filesystem::path& program,
              Measured& measured) {
  const int chapter = chapter_of(program);
  const std::filesystem::path json = ladder.folder / (program.filename().string() + ".json");
  const std::filesystem::path reference = ladder.folder / "chapter_01.json";
  std::vector<std::string> arguments = arguments_of(setting, chapter);
  arguments.insert(arguments.end(), {"--json", json.string()});
  if (chapter > 1 && std::filesystem::exists(reference)) {
    arguments.insert(arguments.end(), {"--reference", reference.string()});
  }
  fmt::print("chapter {}, {}, {} {}, {} tokens after {}\n", chapter, setting.model, setting.device, setting.dtype,
             setting.max_tokens, setting.prompt_tokens);
  std::fflush(stdout);
  std::filesystem::remove(json);
  const int code = run_program_file(program, arguments, Output::errors_only);
  if (code > 1) {
    measured.not_measured = fmt::format("the program ended with {}", code);
    return;
  }
  measured.last = Json::parse_file(json);
  measured.same_output &= measured.last.at("same_output").boolean();
  if (measured.last.has("tokens_per_second")) {
    measured.tokens_per_second.push_back(measured.last.at("tokens_per_second").number());
  }
  if (measured.last.has("ttft_ms")) measured.ttft_ms.push_back(measured.last.at("ttft_ms").number());
}

Json describe_row(const LadderCase& setting, int chapter, const Measured& measured) {
  Json row = Json::object();
  row.set("chapter", chapter).set("model", setting.model).set("device", setting.device).set("dtype", setting.dtype);
  row.set("prompt_tokens", setting.prompt_tokens).set("max_tokens", setting.max_tokens);
  if (measured.tokens_per_second.empty() || measured.ttft_ms.empty()) {
    return row.set("not_measured", measured.not_measured);
  }
  row.set("technique", measured.last.at("technique")).set("threads", measured.last.at("threads"));
  row.set("tokens_per_second", summary(measured.tokens_per_second)).set("ttft_ms", summary(measured.ttft_ms));
  row.set("kv_bytes", measured.last.at("kv_bytes")).set("near_ties", measured.last.at("near_ties"));
  return row.set("same_output", measured.same_output);
}

}  // namespace

Json run_long_ladder(const LongLadder& ladder, const std::vector<LadderCase>& cases) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  const auto is_over = [&] {
    return std::chrono::duration<double>(Clock::now() - begin).count() >= 60.0 * ladder.minutes;
  };
  std::map<std::pair<size_t, int>, Measured> measured;  // by case and chapter
  for (int repetition = 0; repetition < ladder.repetitions; ++repetition) {
    for (size_t i = 0; i < cases.size(); ++i) {
      std::filesystem::remove(ladder.folder / "chapter_01.json");  // of the case before
      for (const std::filesystem::path& program : ladder.programs) {
        const int chapter = chapter_of(program);
        if (chapter > cases[i].last_chapter) continue;
        Measured& here = measured[{i, chapter}];
        if (!is_over()) run_once(ladder, cases[i], program, here);
      }
    }
  }
  Json rows = Json::array();
  for (const auto& [key, here] : measured) rows.push(describe_row(cases[key.first], key.second, here));
  return rows;
}

std::string long_table(const Json& rows) {
  Table table({"", "chapter", "tokens/s", "min–max", "against 1", "first token", "same output"});
  double base = NAN;
  rows.for_each([&](const Json& row) {
    const int64_t chapter = row.at("chapter").integer();
    const std::string name =
        fmt::format("{} {} {}, {} + {}", row.at("model").string(), row.at("device").string(), row.at("dtype").string(),
                    row.at("prompt_tokens").integer(), row.at("max_tokens").integer());
    const double rate = row.has("tokens_per_second") ? median_of(row.at("tokens_per_second")) : NAN;
    if (chapter == 1) base = rate;  // of this case
    if (std::isnan(rate)) {
      table.add({name, std::to_string(chapter), "not measured", row.at("not_measured").string(), "", "", ""});
      return;
    }
    const Json rates = row.at("tokens_per_second");
    table.add({name, std::to_string(chapter), format_rate(rate),
               fmt::format("{}–{}", format_rate(rates.at("min").number()), format_rate(rates.at("max").number())),
               format_ratio(rate / base), format_ms(median_of(row.at("ttft_ms"))),
               row.at("same_output").boolean() ? "yes" : "NO"});
  });
  return table.to_string();
}

}  // namespace llm
