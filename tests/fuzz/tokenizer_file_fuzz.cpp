// tokenizer.json; one that is accepted has to encode and decode a few texts.
#include "tests/fuzz/round_trip.h"

namespace llm {
namespace {

constexpr std::string_view kTexts[] = {"",
                                       "a",
                                       "Once upon a time",
                                       "  two  spaces\n\n",
                                       "caf\u00e9 \u2581 \U0001F600",
                                       "12345 <s></s><0x41>",
                                       "\xE2\x82 \xFF"};

}  // namespace

void fuzz(std::string_view input) {
  static const FuzzFolder folder;
  folder.write("tokenizer.json", input);
  accepts([&] {
    const Tokenizer tokenizer = Tokenizer::load(folder.path());
    for (const std::string_view text : kTexts) {
      accepts([&] {  // a pattern may need too many steps, a normalizer make too much of a text
        decode_as_it_grows(tokenizer, checked_encode(tokenizer, text, true), false);
      });
    }
    std::vector<int32_t> ids;
    for (int32_t id = -1; id <= std::min(tokenizer.vocab_size(), 300); ++id) {
      ids.push_back(id);
      const std::string token = tokenizer.token(id);
      check(token.empty() || tokenizer.find(token) == id, "a token is found by its spelling");
    }
    for (const bool skip_special : {false, true}) decode_as_it_grows(tokenizer, ids, skip_special);
  });
}

}  // namespace llm
