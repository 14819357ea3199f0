#include "common/program/trace.h"

#include <gtest/gtest.h>

#include "tests/support/sentence_of.h"
#include "tests/support/temporary_folder.h"

namespace llm {
namespace {

Json written(const Trace& trace) {
  const std::filesystem::path file = temporary_folder() / "trace.json";
  trace.write(file);
  return Json::parse_file(file);
}

// The fields that the Chrome trace format asks for ("Trace Event Format", Google, 2016): complete events "X" with
// begin and duration in microseconds, metadata events "M".
TEST(Trace, IsWhatPerfettoReads) {
  Trace trace;
  trace.name_row(3, "slot 3");
  trace.add(3, "prefill", 1.5, 20.25, Json::object().set("tokens", 7));
  const Json file = written(trace);
  EXPECT_EQ(file.at("displayTimeUnit").string(), "ms");
  ASSERT_EQ(file.at("traceEvents").size(), 2u);
  const Json name = file.at("traceEvents").at(0), event = file.at("traceEvents").at(1);
  EXPECT_EQ(name.at("ph").string(), "M");
  EXPECT_EQ(name.at("name").string(), "thread_name");
  EXPECT_EQ(name.at("pid").integer(), 1);
  EXPECT_EQ(name.at("tid").integer(), 3);
  EXPECT_EQ(name.at("args").at("name").string(), "slot 3");
  EXPECT_EQ(event.at("ph").string(), "X");
  EXPECT_EQ(event.at("name").string(), "prefill");
  EXPECT_EQ(event.at("pid").integer(), 1);
  EXPECT_EQ(event.at("tid").integer(), 3);
  EXPECT_EQ(event.at("ts").number(), 1500.0);
  EXPECT_EQ(event.at("dur").number(), 20250.0);
  EXPECT_EQ(event.at("args").at("tokens").integer(), 7);
}

TEST(Trace, MayBeEmpty) { EXPECT_EQ(written(Trace()).at("traceEvents").size(), 0u); }

TEST(Trace, AnUnwritablePlaceIsReported) {
  EXPECT_SENTENCE(
      Trace().write("/no/such/folder/t.json"),
      "/no/such/folder/t.json: can't be written; give a file in a folder that exists and may be written to");
}

}  // namespace
}  // namespace llm
