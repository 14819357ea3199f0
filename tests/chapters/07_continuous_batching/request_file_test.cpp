#include "chapters/07_continuous_batching/request_file.h"

#include <gtest/gtest.h>

#include "tests/support/sentence_of.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace llm {
namespace {

class RequestFile : public testing::Test {
 protected:
  RequestFile()
      : model{"tiny", tiny_transformer(config(), 1),
              std::make_shared<Tokenizer>(Tokenizer::load("tests/reference/tokenizer/gpt2"))},
        path(temporary_folder() / "r.jsonl") {}

  static ModelConfig config() {
    ModelConfig config = tiny_config("llama");
    config.vocab_size = 512;
    return config;
  }

  std::vector<Request> read(const std::string& text) {
    write_file(path, text);
    return read_requests(path, model, {.max_tokens = 9, .ignore_eos = false, .sampling = {.min_p = 0.25}});
  }
  // The sentence about a file's second line.
  std::string refused(const std::string& line) {
    const std::string sentence = sentence_of([&] { read("{\"id\": \"a\", \"prompt\": \"x\"}\n" + line + "\n"); });
    const std::string begin = path.string() + ", line 2: ";
    return sentence.starts_with(begin) ? sentence.substr(begin.size()) : sentence;
  }

  LoadedModel model;
  std::filesystem::path path;
};

TEST_F(RequestFile, WhatALineLeavesOutIsTheDefault) {
  const std::vector<Request> requests = read("{\"id\": \"a\", \"prompt\": \"red kite\"}");
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].id, "a");
  EXPECT_EQ(requests[0].prompt, model.tokenizer->encode("red kite"));
  EXPECT_EQ(requests[0].params.max_tokens, 9);
  EXPECT_EQ(requests[0].params.sampling.min_p, 0.25);
  EXPECT_EQ(requests[0].arrival_step, 0);
  EXPECT_FALSE(requests[0].cancel_step);
}

TEST_F(RequestFile, EveryFieldIsRead) {
  const std::vector<Request> requests =
      read(R"(
{"id": "a", "arrival_step": 3, "prompt_token_ids": [5, 511], "max_tokens": 7, "temperature": 0.5, "top_k": 4,)"
           R"( "top_p": 0.75, "seed": 11, "priority": -2, "stop": ["x", "yz"],)"
           R"( "stop_token_ids": [8], "ignore_eos": true, "salt": "s", "cancel_step": 3, "breakpoints": [1, 2]}

{"id": "b", "prompt": "c", "stop": "once", "cancel_step": null})"
           "\r\n");
  ASSERT_EQ(requests.size(), 2u) << "blank lines are passed over";
  const Request& a = requests[0];
  EXPECT_EQ(a.prompt, (std::vector<int32_t>{5, 511}));
  EXPECT_EQ(a.arrival_step, 3);
  EXPECT_EQ(a.params.max_tokens, 7);
  EXPECT_EQ(a.params.sampling.temperature, 0.5);
  EXPECT_EQ(a.params.sampling.top_k, 4);
  EXPECT_EQ(a.params.sampling.top_p, 0.75);
  EXPECT_EQ(a.params.sampling.seed, 11u);
  EXPECT_EQ(a.priority, -2);
  EXPECT_EQ(a.stop, (std::vector<std::string>{"x", "yz"}));
  EXPECT_EQ(a.params.stop_token_ids, (std::vector<int32_t>{8}));
  EXPECT_TRUE(a.params.ignore_eos);
  EXPECT_EQ(a.salt, "s");
  EXPECT_EQ(a.cancel_step, 3);
  EXPECT_EQ(a.breakpoints, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(requests[1].stop, (std::vector<std::string>{"once"}));
}

TEST_F(RequestFile, MistakesNameTheLineTheFieldAndTheFix) {
  EXPECT_EQ(
      refused(R"({"id": "b", "prompt": "x", "max_token": 3})"),
      "\"max_token\" is no field of a request; the fields are id, arrival_step, prompt, prompt_token_ids, "
      "max_tokens, temperature, top_k, top_p, seed, priority, stop, stop_token_ids, ignore_eos, salt, cancel_step, "
      "breakpoints");
  EXPECT_EQ(refused(R"({"id": "a", "prompt": "x"})"), "id is \"a\", as in line 1; give each request a name of its own");
  EXPECT_EQ(refused(R"({"id": "", "prompt": "x"})"), "id is empty; give each request a name of its own");
  EXPECT_EQ(refused(R"({"prompt": "x"})"), path.string() + ", line 2 lacks the field \"id\"; add it");
  EXPECT_EQ(refused(R"({"id": "b"})"), "has none of the fields \"prompt\" and \"prompt_token_ids\"; give one of them");
  EXPECT_EQ(refused(R"({"id": "b", "prompt": "x", "prompt_token_ids": [1]})"),
            "has both of the fields \"prompt\" and \"prompt_token_ids\"; give one of them");
  EXPECT_EQ(refused(R"({"id": "b", "prompt": ""})"), "prompt is empty; give at least one token");
  EXPECT_EQ(refused(R"({"id": "b", "prompt_token_ids": []})"), "prompt_token_ids is empty; give at least one token");
  EXPECT_EQ(refused(R"({"id": "b", "prompt_token_ids": [1, 512]})"),
            "prompt_token_ids[1] is 512, but must be an integer from 0 to 511");
  EXPECT_EQ(refused(R"({"id": "b", "prompt": "x", "max_tokens": 0})"),
            "max_tokens is 0, but must be an integer from 1 to 1048576");
  EXPECT_EQ(refused(R"({"id": "b", "prompt": "x", "top_p": "1"})"), "top_p is \"1\", but must be a number from 0 to 1");
  EXPECT_EQ(refused(R"({"id": "b", "prompt": "x", "ignore_eos": 1})"), "ignore_eos is 1, but must be true or false");
  EXPECT_EQ(refused(R"({"id": "b", "prompt": "x", "arrival_step": 5, "cancel_step": 4})"),
            "cancel_step is 4, but must be an integer from 5 to 1099511627776");
  EXPECT_EQ(refused(R"({"id": "b", "prompt_token_ids": [1, 2], "breakpoints": [1, 3]})"),
            "breakpoints[1] is 3, but must be an integer from 1 to 2");
  EXPECT_EQ(refused(R"({"id": "b", "prompt": "x", "breakpoints": [1, 1, 1, 1, 1]})"),
            "breakpoints has 5 of them, but at most 4 are allowed; leave some out");
  EXPECT_EQ(refused(R"({"id": "b", "prompt": "x", "stop": ["a", ""]})"),
            "stop[1] is empty; give a string of at least one character");
  EXPECT_EQ(refused("[1]"), "is no object; give one request a line, such as {\"id\": \"a\", \"prompt\": \"Once\"}");
  EXPECT_NE(refused("{\"id\": \"b\",").find("not valid JSON"), std::string::npos);
  EXPECT_EQ(sentence_of([&] { read("\n \n"); }), path.string() + ": has no request; give at least one line");
  EXPECT_EQ(sentence_of([&] { read_requests("no/such/file", model, {}); }),
            "no/such/file: no such file; check the path");
  model.tokenizer = nullptr;
  const std::string text_prompt = sentence_of([&] { read(R"({"id": "b", "prompt": "x"})"); });
  EXPECT_EQ(text_prompt,
            path.string() + ", line 1: prompt is text, but tiny has no tokenizer; give \"prompt_token_ids\"");
  const std::string stop = sentence_of([&] { read(R"({"id": "b", "prompt_token_ids": [1], "stop": "x"})"); });
  EXPECT_EQ(stop, path.string() + ", line 1: stop is text, but tiny has no tokenizer; give \"stop_token_ids\"");
}

}  // namespace
}  // namespace llm
