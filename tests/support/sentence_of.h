// What an InputError says.
#pragma once

#include <string>

#include "common/error.h"

namespace llm {

// The sentence of the InputError that `action` throws; "(no error)" where it throws none.
template <class Action>
std::string sentence_of(Action action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "(no error)";
}

}  // namespace llm

#define EXPECT_SENTENCE(expression, sentence) EXPECT_EQ(llm::sentence_of([&] { (void)(expression); }), sentence)
