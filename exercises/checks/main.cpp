// Tells a reader which exercises are solved, and of the others what is wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace {

class ForReaders : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo& test) override {
    const std::string suite = test.test_suite_name(), name = test.name();  // Chapter3, Exercise2
    std::printf("%c.%c  ", suite.back(), name.back());
    std::fflush(stdout);  // should the reader's code crash, this tells where
    is_told_ = false;
  }
  void OnTestPartResult(const testing::TestPartResult& part) override {
    if (part.passed()) return;
    if (!is_told_) std::puts(part.skipped() ? "skipped" : "not yet");
    is_told_ = true;
    std::string message = part.message();
    if (message.starts_with("Failed\n") || message.starts_with("Skipped\n")) message.erase(0, message.find('\n') + 1);
    for (size_t begin = 0, end = 0; begin < message.size(); begin = end + 1) {
      end = std::min(message.find('\n', begin), message.size());
      std::printf("     %s\n", message.substr(begin, end - begin).c_str());
    }
  }
  void OnTestEnd(const testing::TestInfo&) override {
    if (!is_told_) std::puts("solved");
  }

  bool is_told_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new ForReaders);
  const int status = RUN_ALL_TESTS();
  if (testing::UnitTest::GetInstance()->test_to_run_count() > 0) return status;
  std::fputs("There is no such exercise.\n", stderr);
  return 2;
}
