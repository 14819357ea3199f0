// What an assistant is asked in a day, in small: conversations whose prompts begin alike, or do not.
#pragma once

#include <string>
#include <vector>

#include "common/program/loaded_model.h"

namespace llm {

// Each turn's prompt is all that was said before, and one message more.
struct Conversation {
  std::vector<int32_t> prefix;                 // tools, system prompt, examples
  std::vector<std::vector<int32_t>> messages;  // one a turn, from the user or from a tool
};

struct AssistantLoad {
  std::string name;
  std::vector<Conversation> conversations;
  int answer_tokens;  // of each turn

  // The prompt of the conversation's next turn.  answers [turns so far]
  std::vector<int32_t> next_prompt(size_t conversation, const std::vector<std::vector<int32_t>>& answers) const;
};

enum class Sentences { rules, tools, examples, questions, findings };
// Exactly `count` tokens of a seeded writer's sentences of one kind, as a text's beginning or as a later part of it.
// Where the model has no tokenizer, each word is a token.
std::vector<int32_t> write_tokens(const LoadedModel& model, Sentences kind, size_t count, uint64_t seed, bool begins);

// A shared system prompt, a chat of several turns, few-shot examples, an agent whose context grows, and prompts that
// have nothing in common. No text is longer than `max_length` tokens.
std::vector<AssistantLoad> make_assistant_loads(const LoadedModel& model, int32_t max_length);

}  // namespace llm
