// Chapter 5, grouped-query attention: query heads share key/value heads, so that there are fewer to keep and to read.
//
// Read docs/05-grouped-query-attention.md beside this file.
#include <fmt/format.h>

#include "chapters/05_grouped_query_attention/convert_folder.h"
#include "common/program/loaded_model.h"
#include "common/program/program.h"

namespace llm {
namespace {

struct GroupedOptions {
  std::filesystem::path convert;  // the folder to write; empty: none
  int kv_heads = 0;
  std::string pooling = "mean";
};

int convert(const GroupedOptions& grouped, const Options& options) {
  if (options.model.starts_with("random:")) {
    fail_input("--model is {}, which is no folder to convert; give a Hugging Face folder", options.model);
  }
  if (grouped.kv_heads == 0) fail_input("--convert lacks --kv-heads; give the number of key/value heads to convert to");
  const std::filesystem::path from = model_folder(options.model, options.device);
  convert_folder(from, grouped.convert, grouped.kv_heads, pooling_of(grouped.pooling));
  fmt::print("{}: {} with {} key/value heads, {}\n", grouped.convert.string(), from.string(), grouped.kv_heads,
             grouped.pooling);
  return 0;
}

int run(int argc, const char* const* argv) {
  GroupedOptions grouped;
  OptionParser parser("chapter_05",
                      "Chapter 5, grouped-query attention: fewer key/value heads, each shared by a group of heads.");
  CommandLine& line = parser.command_line();
  line.add("--convert", &grouped.convert, "only write the model with --kv-heads to this folder, for Hugging Face too");
  line.add("--kv-heads", &grouped.kv_heads, 1, 4096, "key/value heads of the converted model");
  line.add("--pool", &grouped.pooling, pooling_names(), "what a group's head is made of");
  const Options options = parser.parse(argc, argv);
  if (!grouped.convert.empty()) return convert(grouped, options);
  return 0;
}

}  // namespace
}  // namespace llm

int main(int argc, char** argv) {
  return llm::run_program([&] { return llm::run(argc, argv); });
}
