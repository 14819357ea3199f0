// Chapter 7's files of requests.
#include <set>

#include "chapters/07_continuous_batching/request_file.h"
#include "tests/fuzz/fuzzing.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

LoadedModel tiny_model() {
  ModelConfig config = tiny_config("llama");
  config.vocab_size = 480;
  return {"tiny", tiny_transformer(config, 1),
          std::make_shared<Tokenizer>(Tokenizer::load("tests/reference/tokenizer/gpt2"))};
}

}  // namespace

void fuzz(std::string_view input) {
  static const FuzzFolder folder;
  static const LoadedModel model = tiny_model();
  folder.write("requests.jsonl", input);
  accepts([&] {
    std::set<std::string> ids;
    for (const Request& request : read_requests(folder.path() / "requests.jsonl", model, {})) {
      check(!request.id.empty() && ids.insert(request.id).second, "each request has a name of its own");
      check(!request.prompt.empty(), "a prompt has tokens");
      for (const auto* list : {&request.prompt, &request.params.stop_token_ids}) {
        for (const int32_t id : *list) check(id >= 0 && id < model.config().vocab_size, "a token is the model's");
      }
      const SamplingParams& sampling = request.params.sampling;
      check(request.params.max_tokens >= 1 && sampling.temperature >= 0 && sampling.top_k >= 0, "it can be generated");
      check(sampling.top_p >= 0 && sampling.top_p <= 1, "top_p is a share");
      for (const std::string& stop : request.stop) check(!stop.empty(), "a stop string is something");
      check(request.arrival_step >= 0 && request.cancel_step.value_or(request.arrival_step) >= request.arrival_step,
            "nobody leaves before coming");
      check(request.breakpoints.size() <= kMaxBreakpoints, "there are few breakpoints");
      for (const int32_t end : request.breakpoints) {
        check(end >= 1 && end <= std::ssize(request.prompt), "a breakpoint is in the prompt");
      }
    }
  });
}

}  // namespace llm
