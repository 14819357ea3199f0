// What a chapter says at its end: the same shape on the screen and in --json for all of them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/json/json.h"
#include "common/program/format.h"
#include "common/program/generation.h"
#include "common/program/loaded_model.h"
#include "common/program/options.h"
#include "common/program/same_output.h"
#include "common/program/trace.h"

namespace llm {

struct ChapterInfo {
  int number;
  std::string technique;
};

// What decides, besides model, prompt and seed, which tokens come: as a report holds it in its details.
Json settings_of(const Options& options);

class Report {
 public:
  Report(ChapterInfo chapter, const LoadedModel& model, const Options& options);

  // Time to first token, tokens/s and KV bytes of the run that is the chapter's result. Predictions of times are in
  // milliseconds a token; NaN: none. Each token counts as one step that reads the weights, and all keys and values,
  // once.
  void add_generation(const Generation& generation, size_t kv_bytes, double predicted_ttft_ms,
                      double predicted_ms_per_token);

  // Where the steps are not one for each token: what all of them together must read, which stands beside the
  // simulator's counts.
  void set_predicted_bytes_read(double bytes) { predicted_bytes_read_ = bytes; }

  // A time; NaN where there is no prediction.
  void add_ms(const std::string& what, double predicted_ms, double measured_ms);

  // One of the chapter's own figures; "" where there is no prediction.
  void add_row(const std::string& what, const std::string& predicted, const std::string& measured);

  // The chapter's own fields of --json.
  Json& details() { return details_; }

  // What --trace writes; the text itself becomes row 0 at the end.
  Trace& trace() { return trace_; }
  // All that it writes, for a chapter that makes many texts side by side.
  void set_trace(Trace trace) {
    trace_ = std::move(trace);
    has_own_trace_ = true;
  }

  // The run that the output must equal. Chapter 1 is the reference itself and never calls this.
  void compare(const std::vector<int32_t>& reference, const std::vector<float>& top_gaps);
  // The same for another text than the one reported: a greedy one, where that was drawn in another way than chapter
  // 1's.
  void compare(const std::vector<int32_t>& reference, const std::vector<float>& top_gaps,
               const std::vector<int32_t>& actual);
  // Near-ties of chapter 1's own run.
  void count_near_ties(const std::vector<float>& top_gaps);

  // Prints the report, on simt with what the kernels did, writes --json and --trace, and returns the program's exit
  // code: 1 where the output differs.
  int finish();

 private:
  Json to_json() const;
  void add_text_to_trace();

  ChapterInfo chapter_;
  const LoadedModel& model_;
  const Options& options_;
  std::vector<int32_t> prompt_, token_ids_;
  std::vector<double> step_ms_;
  std::vector<int64_t> step_passes_;
  double ttft_ms_, tokens_per_second_;
  double predicted_bytes_read_;  // by all steps together
  int64_t kv_bytes_ = 0;
  Comparison comparison_;
  Trace trace_;
  bool has_own_trace_ = false;
  Table table_;
  Json details_;
};

}  // namespace llm
