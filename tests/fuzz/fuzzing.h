// What the fuzz targets share. Each gives arbitrary bytes to one reader of the project, which has two ways to answer: a
// value, or InputError with one sentence. All else ends the target, and libFuzzer keeps the input: another exception, a
// failed check, what AddressSanitizer and UndefinedBehaviorSanitizer report, a leak, memory or time without measure.
// https://llvm.org/docs/LibFuzzer.html
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "common/error.h"
#include "common/tokenizer/unicode.h"

namespace llm {

// Each target is one file, and this its one function.
void fuzz(std::string_view input);

// Ends the target where a property does not hold.
inline void check(bool condition, std::string_view property) {
  if (condition) return;
  std::fprintf(stderr, "this does not hold: %.*s\n", static_cast<int>(property.size()), property.data());
  std::abort();
}

inline bool is_utf8(std::string_view text) { return repair_utf8(text) == text; }

// Runs `read`. False where it throws InputError, whose sentence must fit a terminal's line or a few.
template <class Read>
bool accepts(const Read& read) {
  try {
    read();
    return true;
  } catch (const InputError& error) {
    const std::string sentence = error.what();
    check(!sentence.empty() && sentence.size() < 2000, "an InputError says something, and not too much: " + sentence);
    const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == 0x7F; };
    check(std::ranges::none_of(sentence, is_control), "an InputError is one line that does nothing to a terminal");
    return false;
  }
}

// A folder of its own, for readers that want files; tests/fuzz/run says where ($TMPDIR) and removes it.
class FuzzFolder {
 public:
  FuzzFolder() {
    std::string name = std::filesystem::temp_directory_path() / "fuzz.XXXXXX";
    check(mkdtemp(name.data()) != nullptr, "there is room for a folder");
    path_ = name;
  }
  ~FuzzFolder() { std::filesystem::remove_all(path_); }
  FuzzFolder(const FuzzFolder&) = delete;
  FuzzFolder& operator=(const FuzzFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void write(const char* name, std::string_view bytes) const {
    std::ofstream file(path_ / name, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    check(!!file, "the folder for the inputs can be written to");
  }
  void remove(const char* name) const { std::filesystem::remove(path_ / name); }

 private:
  std::filesystem::path path_;
};

}  // namespace llm

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  llm::fuzz({reinterpret_cast<const char*>(data), size});
  return 0;
}
