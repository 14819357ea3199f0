#include "common/program/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace llm {

namespace {

constexpr char kNotMeasured[] = "not measured";

// Three significant digits.
std::string three_digits(double value) {
  const double size = std::abs(value);
  return fmt::format("{:.{}f}", value, size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

// Characters on the screen, for text without combining marks.
size_t width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

std::string format_ms(double milliseconds) {
  if (!std::isfinite(milliseconds)) return kNotMeasured;
  return milliseconds < 999.5 ? three_digits(milliseconds) + " ms" : three_digits(milliseconds / 1000.0) + " s";
}

std::string format_bytes(double bytes) {
  if (!std::isfinite(bytes)) return kNotMeasured;
  constexpr std::array<const char*, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  for (; bytes >= 999.5 && unit + 1 < kUnits.size(); ++unit) bytes /= 1000.0;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{} {}", three_digits(bytes), kUnits[unit]);
}

std::string format_count(int64_t count) {
  std::string digits = std::to_string(count);
  const int first = digits.front() == '-' ? 1 : 0;
  for (int at = static_cast<int>(digits.size()) - 3; at > first; at -= 3)
    digits.insert(static_cast<size_t>(at), 1, ',');
  return digits;
}

std::string format_rate(double per_second) {
  if (!std::isfinite(per_second)) return kNotMeasured;
  return per_second < 100.0 ? three_digits(per_second) : format_count(std::llround(per_second));
}

std::string format_ratio(double ratio) { return std::isfinite(ratio) ? three_digits(ratio) + "×" : kNotMeasured; }

std::string format_share(double share) {
  return std::isfinite(share) ? fmt::format("{:.1f}%", 100.0 * share) : kNotMeasured;
}

std::string Table::to_string(const std::string& indent) const {
  std::vector<size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string text;
  for (size_t r = 0; r < rows_.size(); ++r) {
    std::string line = indent;
    for (size_t i = 0; i < rows_[r].size(); ++i) {
      const std::string padding(widths[i] - width(rows_[r][i]), ' ');
      line += i == 0 ? rows_[r][i] + padding : fmt::format("  {}{}", padding, rows_[r][i]);
    }
    while (line.ends_with(' ')) line.pop_back();
    text += line + "\n";
    if (r == 0) {
      size_t total = 2 * (widths.size() - 1);
      for (const size_t w : widths) total += w;
      text += indent;
      for (size_t i = 0; i < total; ++i) text += "─";
      text += "\n";
    }
  }
  return text;
}

double median(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  const size_t middle = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(middle), values.end());
  if (values.size() % 2 == 1) return values[middle];
  return (values[middle] + *std::max_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(middle))) / 2.0;
}

std::string draw_bars(const std::vector<double>& milliseconds, int max_lines) {
  constexpr double kWidest = 40.0;
  const size_t count = milliseconds.size();
  const size_t lines = std::min(count, static_cast<size_t>(max_lines));
  struct Group {
    std::string label;
    double value;
  };
  std::vector<Group> groups;
  for (size_t i = 0; i < lines; ++i) {
    const size_t begin = i * count / lines, end = (i + 1) * count / lines;
    const std::string label = end - begin == 1 ? fmt::format("{}", begin + 1) : fmt::format("{}-{}", begin + 1, end);
    groups.push_back({label, median({milliseconds.begin() + static_cast<ptrdiff_t>(begin),
                                     milliseconds.begin() + static_cast<ptrdiff_t>(end)})});
  }
  double largest = 0.0;
  for (const Group& group : groups) largest = std::max(largest, group.value);
  std::string text;
  for (const Group& group : groups) {
    std::string bar;
    const int blocks = largest > 0.0 ? std::max(1, static_cast<int>(std::lround(kWidest * group.value / largest))) : 0;
    for (int i = 0; i < blocks; ++i) bar += "█";
    text += fmt::format("  {:>9}  {} {}\n", group.label, bar, format_ms(group.value));
  }
  return text;
}

}  // namespace llm
