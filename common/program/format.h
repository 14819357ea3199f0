// Numbers and tables as every report prints them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace llm {

// NaN and infinity are what was not measured.
std::string format_ms(double milliseconds);  // "3.21 ms", "0.85 ms", "1.40 s"
std::string format_bytes(double bytes);      // "640 B", "1.31 MB": powers of ten
std::string format_rate(double per_second);  // "1,234"
std::string format_ratio(double ratio);      // "12.3×"
std::string format_count(int64_t count);     // "12,345"
std::string format_share(double share);      // "31.4%" for 0.314

// Columns as wide as their widest cell, the first one aligned left and the others right.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string to_string(const std::string& indent = "  ") const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// Values as bars, one a line: "  1-25  ████████ 1.2 ms". Long lists are gathered into at most `max_lines` groups of
// neighbors, each drawn as its median.
std::string draw_bars(const std::vector<double>& milliseconds, int max_lines = 8);

double median(std::vector<double> values);  // NaN for none

}  // namespace llm
