#include "chapters/08_prompt_caching/assistant_loads.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <random>
#include <sstream>

namespace llm {

namespace {

class Writer {
 public:
  explicit Writer(uint64_t seed) : random_(seed) {}

  std::string sentence(Sentences kind) {
    constexpr std::array kNames = {"Tom", "Lily", "Ben", "Mia", "Sam", "Anna", "Jack", "Lucy"};
    constexpr std::array kAnimals = {"cat", "dog", "bird", "frog", "bear", "fish", "duck", "bunny"};
    constexpr std::array kThings = {"kite", "ball", "hat", "boat", "cup", "book", "box", "drum"};
    constexpr std::array kPlaces = {"park", "house", "garden", "forest", "barn", "school", "lake", "shop"};
    constexpr std::array kLooks = {"red", "big", "old", "little", "blue", "shiny", "soft", "pretty"};
    const char *name = pick(kNames), *animal = pick(kAnimals), *thing = pick(kThings), *place = pick(kPlaces),
               *look = pick(kLooks);
    switch (kind) {
      case Sentences::rules:
        return fmt::format("When {} asks for a story about a {}, tell of a {} {} in the {}. ", name, animal, look,
                           thing, place);
      case Sentences::tools:
        return fmt::format("You can look for a {} {} in the {} and give it to the {}. ", look, thing, place, animal);
      case Sentences::examples:
        return fmt::format("Where is the {}? It is in the {} with {} and a {} {}. ", animal, place, name, look, thing);
      case Sentences::questions:
        return fmt::format("{} said, \"Tell me about the {} {} in the {} and the {}!\" ", name, look, thing, place,
                           animal);
      case Sentences::findings:
        return fmt::format("In the {} there was a {} {}, and the {} gave it to {}. ", place, look, thing, animal, name);
    }
    return "";
  }

 private:
  template <size_t N>
  const char* pick(const std::array<const char*, N>& words) {
    return words[random_() % N];
  }

  std::mt19937_64 random_;
};

std::vector<int32_t> encode(const LoadedModel& model, const std::string& text, bool begins) {
  if (model.tokenizer) return model.tokenizer->encode(text, begins);
  std::vector<int32_t> ids;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    uint32_t hash = 0;
    for (const char c : word) hash = hash * 31 + static_cast<unsigned char>(c);
    ids.push_back(static_cast<int32_t>(hash % static_cast<uint32_t>(model.config().vocab_size)));
  }
  return ids;
}

// How long the parts are, in 64ths of the longest text.
struct LoadShape {
  const char* name;
  Sentences prefix_kind, message_kind;
  int num_conversations, num_turns;
  size_t prefix, message, answer;
  bool shares_prefix;
};

constexpr LoadShape kShapes[] = {
    {"shared system prompt", Sentences::rules, Sentences::questions, 3, 1, 44, 8, 2, true},
    {"chat of several turns", Sentences::rules, Sentences::questions, 1, 5, 24, 5, 2, true},
    {"few-shot examples", Sentences::examples, Sentences::questions, 3, 1, 48, 4, 1, true},
    {"agent with tools", Sentences::tools, Sentences::findings, 1, 7, 20, 4, 2, true},
    {"nothing in common", Sentences::rules, Sentences::questions, 3, 1, 44, 8, 2, false},
};

}  // namespace

std::vector<int32_t> AssistantLoad::next_prompt(size_t conversation,
                                                const std::vector<std::vector<int32_t>>& answers) const {
  const Conversation& c = conversations[conversation];
  std::vector<int32_t> prompt = c.prefix;
  for (size_t turn = 0; turn <= answers.size(); ++turn) {
    prompt.insert(prompt.end(), c.messages[turn].begin(), c.messages[turn].end());
    if (turn < answers.size()) prompt.insert(prompt.end(), answers[turn].begin(), answers[turn].end());
  }
  return prompt;
}

std::vector<int32_t> write_tokens(const LoadedModel& model, Sentences kind, size_t count, uint64_t seed, bool begins) {
  Writer writer(seed);
  std::string text = fmt::format("{}. ", seed);  // no two seeds begin alike
  std::vector<int32_t> ids;
  while (ids.size() < count) {
    text += writer.sentence(kind);
    ids = encode(model, text, begins);
  }
  ids.resize(count);
  check_token_ids(model, ids, "a text of this chapter");
  return ids;
}

std::vector<AssistantLoad> make_assistant_loads(const LoadedModel& model, int32_t max_length) {
  const auto length_of = [&](size_t part) { return std::max<size_t>(1, part * static_cast<size_t>(max_length) / 64); };
  std::vector<AssistantLoad> loads;
  uint64_t seed = 1;
  for (const LoadShape& shape : kShapes) {
    AssistantLoad load{shape.name, {}, static_cast<int>(length_of(shape.answer))};
    const uint64_t shared = seed++;
    for (int c = 0; c < shape.num_conversations; ++c) {
      Conversation conversation;
      conversation.prefix =
          write_tokens(model, shape.prefix_kind, length_of(shape.prefix), shape.shares_prefix ? shared : seed++, true);
      for (int turn = 0; turn < shape.num_turns; ++turn) {
        conversation.messages.push_back(
            write_tokens(model, shape.message_kind, length_of(shape.message), seed++, false));
      }
      load.conversations.push_back(std::move(conversation));
    }
    loads.push_back(std::move(load));
  }
  return loads;
}

}  // namespace llm
