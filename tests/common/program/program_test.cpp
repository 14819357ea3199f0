#include "common/program/program.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "common/error.h"
#include "common/program/command_line.h"

namespace llm {
namespace {

struct Outcome {
  int code;
  std::string out, err;
  bool operator==(const Outcome&) const = default;
};

void PrintTo(const Outcome& outcome, std::ostream* stream) {
  *stream << outcome.code << ", out \"" << outcome.out << "\", err \"" << outcome.err << "\"";
}

Outcome run(const std::function<int()>& body) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run_program(body);
  std::fflush(stdout);
  return {code, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

TEST(RunProgram, ReturnsWhatTheBodyReturns) {
  EXPECT_EQ(run([] { return 0; }), (Outcome{0, "", ""}));
  EXPECT_EQ(run([] { return 1; }), (Outcome{1, "", ""}));
}

TEST(RunProgram, HelpIsASuccess) {
  EXPECT_EQ(run([]() -> int { throw HelpRequested{"how to\n"}; }), (Outcome{0, "how to\n", ""}));
}

TEST(RunProgram, BadInputIsOneSentenceAnd2) {
  EXPECT_EQ(run([]() -> int { fail_input("{} is {}; mend it", "x.json", 3); }),
            (Outcome{2, "", "error: x.json is 3; mend it\n"}));
}

TEST(RunProgram, NoMemoryIsOneSentenceAnd2) {
  const Outcome outcome = run([]() -> int { throw std::bad_alloc(); });
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err.find("not enough memory"), std::string::npos);
}

TEST(RunProgram, FaultsOfOursAre3) {
  EXPECT_EQ(run([]() -> int { throw std::logic_error("broken"); }), (Outcome{3, "", "internal error: broken\n"}));
}

TEST(Require, ThrowsWhereTheConditionDoesNotHold) {
  EXPECT_NO_THROW(require(true, "never"));
  EXPECT_THROW(require(false, "{} of {}", 1, 2), std::logic_error);
}

}  // namespace
}  // namespace llm
