#include "common/program/format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace llm {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(Format, Milliseconds) {
  EXPECT_EQ(format_ms(0.0), "0.00 ms");
  EXPECT_EQ(format_ms(0.854), "0.85 ms");
  EXPECT_EQ(format_ms(3.214), "3.21 ms");
  EXPECT_EQ(format_ms(9.994), "9.99 ms");
  EXPECT_EQ(format_ms(9.996), "10.0 ms");
  EXPECT_EQ(format_ms(99.94), "99.9 ms");
  EXPECT_EQ(format_ms(99.96), "100 ms");
  EXPECT_EQ(format_ms(999.4), "999 ms");
  EXPECT_EQ(format_ms(999.6), "1.00 s");
  EXPECT_EQ(format_ms(1400.0), "1.40 s");
  EXPECT_EQ(format_ms(123456.0), "123 s");
  EXPECT_EQ(format_ms(kNan), "not measured");
  EXPECT_EQ(format_ms(kInf), "not measured");
}

TEST(Format, Bytes) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(640), "640 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1000), "1.00 kB");
  EXPECT_EQ(format_bytes(1310720), "1.31 MB");
  EXPECT_EQ(format_bytes(999499), "999 kB");
  EXPECT_EQ(format_bytes(999501), "1.00 MB");
  EXPECT_EQ(format_bytes(2147483648.0), "2.15 GB");
  EXPECT_EQ(format_bytes(5e15), "5000 TB");
  EXPECT_EQ(format_bytes(kNan), "not measured");
}

TEST(Format, RatesRatiosAndCounts) {
  EXPECT_EQ(format_rate(1.234), "1.23");
  EXPECT_EQ(format_rate(99.94), "99.9");
  EXPECT_EQ(format_rate(99.97), "100");
  EXPECT_EQ(format_rate(1234.4), "1,234");
  EXPECT_EQ(format_rate(kNan), "not measured");
  EXPECT_EQ(format_rate(kInf), "not measured");
  EXPECT_EQ(format_ratio(12.34), "12.3×");
  EXPECT_EQ(format_ratio(1.0), "1.00×");
  EXPECT_EQ(format_ratio(kNan), "not measured");
  EXPECT_EQ(format_share(0.3142), "31.4%");
  EXPECT_EQ(format_share(1.0), "100.0%");
  EXPECT_EQ(format_share(kNan), "not measured");
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1,000");
  EXPECT_EQ(format_count(12345), "12,345");
  EXPECT_EQ(format_count(1234567), "1,234,567");
  EXPECT_EQ(format_count(-123), "-123");
  EXPECT_EQ(format_count(-1234), "-1,234");
  EXPECT_EQ(format_count(std::numeric_limits<int64_t>::min()), "-9,223,372,036,854,775,808");
}

TEST(Table, ColumnsAreAsWideAsTheirWidestCell) {
  Table table({"what", "n", "ratio"});
  table.add({"a", "1", "12.3×"});  // × is one character of two bytes
  table.add({"longer name", "1,000", ""});
  EXPECT_EQ(table.to_string(),
            "  what             n  ratio\n"
            "  ─────────────────────────\n"
            "  a                1  12.3×\n"
            "  longer name  1,000\n");
  EXPECT_EQ(Table({"one"}).to_string(""), "one\n───\n");
}

TEST(Median, IsTheMiddle) {
  EXPECT_TRUE(std::isnan(median({})));
  EXPECT_EQ(median({3}), 3.0);
  EXPECT_EQ(median({9, 1}), 5.0);
  EXPECT_EQ(median({5, 1, 100}), 5.0);
  EXPECT_EQ(median({4, 1, 3, 100}), 3.5);
  EXPECT_EQ(median({7, 7, 1, 7}), 7.0);
}

TEST(DrawBars, OneALineUpToTheLimit) {
  EXPECT_EQ(draw_bars({}), "");
  const std::string bar40 = [] {
    std::string bar;
    for (int i = 0; i < 40; ++i) bar += "█";
    return bar;
  }();
  EXPECT_EQ(draw_bars({4.0, 0.1, 0.001}), "          1  " + bar40 + " 4.00 ms\n" +
                                              "          2  █ 0.10 ms\n" +  // a fortieth of the widest
                                              "          3  █ 0.00 ms\n");  // never invisible
}

TEST(DrawBars, LongListsAreGatheredIntoMedians) {
  std::vector<double> values;
  for (int i = 1; i <= 10; ++i) values.push_back(i);
  const std::string text = draw_bars(values, 3);
  for (const char* part : {"1-3  ", " 2.00 ms\n", "4-6  ", " 5.00 ms\n", "7-10  ", " 8.50 ms\n"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
}

}  // namespace
}  // namespace llm
