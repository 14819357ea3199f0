// A folder for what tests write.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace llm {

// Of this process alone, so that several test programs can run side by side; it goes away when the process ends.
inline const std::filesystem::path& temporary_root() {
  static const struct Root {
    std::filesystem::path path =
        std::filesystem::path(testing::TempDir()) / ("token_by_token." + std::to_string(getpid()));
    Root() { std::filesystem::create_directories(path); }
    ~Root() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  } root;
  return root.path;
}

// An empty folder of the running test's own.
inline std::filesystem::path temporary_folder() {
  const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
  const std::filesystem::path folder = temporary_root() / test->test_suite_name() / test->name();
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

}  // namespace llm
