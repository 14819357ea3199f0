#include "common/program/command_line.h"

#include <gtest/gtest.h>

#include "tests/support/sentence_of.h"

namespace llm {
namespace {

// One flag of every kind.
struct Flags {
  int count = 5;
  double share = 0.5;
  uint64_t seed = 0;
  std::string name = "none";
  std::filesystem::path file;
  bool loud = false;
  std::string color = "red";

  CommandLine line{"prog", "Does a thing."};

  Flags() {
    line.add("--count", &count, 1, 100, "how many");
    line.add("--share", &share, 0.0, 1.0, "how much");
    line.add("--seed", &seed, "of the numbers");
    line.add("--name", &name, "of the thing");
    line.add("--file", &file, "to read");
    line.add("--loud", &loud, "with noise");
    line.add("--color", &color, {"red", "green"}, "of the thing");
  }

  void parse(const std::vector<std::string>& arguments) {
    std::vector<const char*> argv = {"prog"};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    line.parse(static_cast<int>(argv.size()), argv.data());
  }
};

std::string sentence(const std::vector<std::string>& arguments) {
  return sentence_of([&] { Flags().parse(arguments); });
}

TEST(CommandLine, KeepsTheDefaults) {
  Flags flags;
  flags.parse({});
  EXPECT_EQ(flags.count, 5);
  EXPECT_EQ(flags.share, 0.5);
  EXPECT_EQ(flags.name, "none");
  EXPECT_EQ(flags.color, "red");
  EXPECT_FALSE(flags.loud);
  EXPECT_FALSE(flags.line.given("--count"));
}

TEST(CommandLine, ReadsEveryKind) {
  Flags flags;
  flags.parse({"--count", "7", "--share=0.25", "--seed", "9223372036854775807", "--name", "a red kite", "--file",
               "some dir/x.txt", "--loud", "--color", "green"});
  EXPECT_EQ(flags.count, 7);
  EXPECT_EQ(flags.share, 0.25);
  EXPECT_EQ(flags.seed, 9223372036854775807u);
  EXPECT_EQ(flags.name, "a red kite");
  EXPECT_EQ(flags.file, "some dir/x.txt");
  EXPECT_TRUE(flags.loud);
  EXPECT_EQ(flags.color, "green");
  EXPECT_TRUE(flags.line.given("--count"));
  EXPECT_TRUE(flags.line.given("--loud"));
}

TEST(CommandLine, BoundsAreIncluded) {
  Flags flags;
  flags.parse({"--count", "1", "--share", "0"});
  EXPECT_EQ(flags.count, 1);
  EXPECT_EQ(flags.share, 0.0);
  Flags other;
  other.parse({"--count", "100", "--share", "1"});
  EXPECT_EQ(other.count, 100);
  EXPECT_EQ(other.share, 1.0);
}

// Text comes as it was typed: brackets, dashes, quotes, percent signs and line ends have no meaning.
TEST(CommandLine, TextIsTakenAsItIs) {
  for (const std::string text :
       {"[a, b]", "-x", "--loud", "a=b", "%%", "{}", "\"q\"", "'q'", "a\nb", " ", "été", "0", ","}) {
    Flags flags;
    flags.parse({"--name", text});
    EXPECT_EQ(flags.name, text);
    EXPECT_FALSE(flags.loud);
    Flags joined;
    joined.parse({"--name=" + text});
    EXPECT_EQ(joined.name, text);
  }
}

TEST(CommandLine, NumbersOutOfRange) {
  EXPECT_EQ(sentence({"--count", "0"}), "--count is \"0\", but must be an integer from 1 to 100");
  EXPECT_EQ(sentence({"--count", "101"}), "--count is \"101\", but must be an integer from 1 to 100");
  EXPECT_EQ(sentence({"--count", "-1"}), "--count is \"-1\", but must be an integer from 1 to 100");
  EXPECT_EQ(sentence({"--count", "99999999999999999999"}),
            "--count is \"99999999999999999999\", but must be an integer from 1 to 100");
  EXPECT_EQ(sentence({"--share", "1.0001"}), "--share is \"1.0001\", but must be a number from 0 to 1");
  EXPECT_EQ(sentence({"--share", "-0.1"}), "--share is \"-0.1\", but must be a number from 0 to 1");
  EXPECT_EQ(sentence({"--share", "1e999"}), "--share is \"1e999\", but must be a number from 0 to 1");
  EXPECT_EQ(sentence({"--share", "nan"}), "--share is \"nan\", but must be a number from 0 to 1");
  EXPECT_EQ(sentence({"--share", "inf"}), "--share is \"inf\", but must be a number from 0 to 1");
  EXPECT_EQ(sentence({"--seed", "-1"}), "--seed is \"-1\", but must be an integer from 0 to 9223372036854775807");
  EXPECT_EQ(sentence({"--seed", "9223372036854775808"}),
            "--seed is \"9223372036854775808\", but must be an integer from 0 to 9223372036854775807");
}

TEST(CommandLine, NotANumber) {
  for (const std::string text : {"many", "1x", "0x10", "1.5", " 1", "1 ", "1e1", "+1", "--loud"}) {
    EXPECT_EQ(sentence({"--count", text}), "--count is \"" + text + "\", but must be an integer from 1 to 100");
  }
  for (const std::string text : {"half", "0.5x", "0,5", "."}) {
    EXPECT_EQ(sentence({"--share", text}), "--share is \"" + text + "\", but must be a number from 0 to 1");
  }
}

TEST(CommandLine, NotAChoice) {
  EXPECT_EQ(sentence({"--color", "blue"}), "--color is \"blue\", but must be one of red, green");
  EXPECT_EQ(sentence({"--color", "Red"}), "--color is \"Red\", but must be one of red, green");
}

TEST(CommandLine, EmptyText) {
  for (const std::string flag : {"--count", "--share", "--seed", "--name", "--file", "--color"}) {
    EXPECT_EQ(sentence({flag, ""}), flag + " is empty; give it a value or leave it out");
  }
}

void expect_names(const std::string& sentence, const std::string& flag) {
  EXPECT_NE(sentence.find(flag), std::string::npos) << sentence;
  EXPECT_TRUE(sentence.ends_with("; --help lists the flags")) << sentence;
  EXPECT_EQ(sentence.find('\n'), std::string::npos) << sentence;
}

TEST(CommandLine, MissingArgument) {
  for (const std::string flag : {"--count", "--share", "--seed", "--name", "--file", "--color"}) {
    expect_names(sentence({flag}), flag);
    expect_names(sentence({"--loud", flag}), flag);
  }
}

TEST(CommandLine, UnknownFlagsAndStrayWords) {
  expect_names(sentence({"--colour", "red"}), "--colour");
  expect_names(sentence({"-q"}), "-q");
  expect_names(sentence({"stray"}), "stray");
  expect_names(sentence({"--count", "5", "6"}), "6");
}

TEST(CommandLine, TheSameFlagTwice) { expect_names(sentence({"--count", "5", "--count", "6"}), "--count"); }

TEST(CommandLine, AFlagWithoutArgumentTakesNone) {
  EXPECT_NE(sentence({"--loud=perhaps"}).find("--loud"), std::string::npos);
  EXPECT_NE(sentence({"--loud", "yes"}).find("yes"), std::string::npos);
}

TEST(CommandLine, HelpNamesEveryFlagWithItsDefault) {
  try {
    Flags().parse({"--help"});
    FAIL() << "no help";
  } catch (const HelpRequested& help) {
    for (const char* part : {"Does a thing.", "prog", "--count N [5]", "--share X [0.5]", "--seed N [0]",
                             "--name TEXT [none]", "--file FILE", "--loud", "--color red|green [red]", "how many"}) {
      EXPECT_NE(help.text.find(part), std::string::npos) << part << " in\n" << help.text;
    }
  }
}

}  // namespace
}  // namespace llm
