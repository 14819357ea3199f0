// ./run perplexity --model DIR --text FILE: the mean loss per token of a text, and its exponential.
#include <fmt/format.h>
#include <omp.h>

#include "chapters/01_naive_generation/perplexity.h"
#include "common/json/json.h"
#include "common/program/format.h"
#include "common/program/loaded_model.h"
#include "common/program/program.h"

namespace llm {
namespace {

int run(int argc, const char* const* argv) {
  std::string model_name, dtype = "f32";
  std::filesystem::path text_file, json_file;
  int window = 0, stride = 0, threads = 0;
  CommandLine line("perplexity",
                   "The mean loss per token of a text under a model, and its exponential, perplexity. "
                   "Documents between lines <|endoftext|> are scored each on its own.");
  line.add("--model", &model_name, "a Hugging Face folder; without it the embedded stories model");
  line.add("--text", &text_file, "the text to score");
  line.add("--window", &window, 0, 1 << 20, "tokens seen at a time; 0: the model's context, at most 2,048");
  line.add("--stride", &stride, 0, 1 << 20, "tokens a window moves on by; 0: half a window");
  line.add("--dtype", &dtype, {"f32", "bf16"}, "number format of weights, keys and values");
  line.add("--threads", &threads, 0, 1024, "CPU threads; 0: one per core");
  line.add("--json", &json_file, "write the results to this file");
  line.parse(argc, argv);
  if (text_file.empty()) fail_input("--text is missing; name the file to score");
  check_output("--json", json_file);
  const std::string text = read_file(text_file);
  omp_set_num_threads(threads == 0 ? omp_get_num_procs() : threads);

  const LoadedModel model = load_model(model_name, dtype == "f32" ? DType::f32 : DType::bf16, Device::cpu);
  if (!model.tokenizer) fail_input("--model is {}, which has no tokenizer; give a Hugging Face folder", model_name);
  const int context = model.config().context_length;
  if (window == 0) window = std::min(context, 2048);
  if (window < 2 || window > context) fail_input("--window is {}, but must be from 2 to {}", window, context);
  if (stride == 0) stride = window / 2;
  if (stride >= window) fail_input("--stride is {}, but must be less than the window of {}", stride, window);

  const std::vector<std::string_view> documents = split_documents(text);
  const TextScore total = score_documents(model, documents, text_file.string(), window, stride);
  if (total.tokens == 0) fail_input("{}: has no token to score; give a longer text", text_file.string());
  fmt::print("{}: loss {:.4f} per token, perplexity {:.3f}, over {} tokens of {} documents\n", model.name, total.loss(),
             total.perplexity(), format_count(total.tokens), format_count(static_cast<int64_t>(documents.size())));
  if (!json_file.empty()) {
    Json json = Json::object();
    json.set("model", model.name).set("text", text_file.string()).set("dtype", dtype);
    json.set("window", window).set("stride", stride);
    json.set("documents", static_cast<int64_t>(documents.size())).set("tokens", total.tokens);
    json.set("loss", total.loss())
        .set("perplexity", total.perplexity())
        .set("loss_per_byte", total.loss_sum / static_cast<double>(total.bytes));
    write_file(json_file, json.dump() + "\n");
  }
  return 0;
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) {
  return llm::run_program([&] { return llm::run(argc, argv); });
}
