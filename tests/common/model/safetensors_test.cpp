#include "common/model/safetensors.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/common/model/editable_model.h"
#include "tests/support/temporary_folder.h"

namespace llm {
namespace {

TEST(Safetensors, HandsOutWhatTheFileHolds) {
  const auto folder = temporary_folder();
  EditableModel().write(folder);
  SafetensorsFolder weights(folder);
  const Tensor down = weights.get("model.layers.0.mlp.down_proj.weight", {8, 6});
  EXPECT_EQ(down.view().shape, (Shape{8, 6}));
  for (int i = 0; i < 48; ++i) EXPECT_EQ(down.view().as<float>()[i], static_cast<float>(i) / 64.0f);
  const std::vector<std::string> names = weights.names();
  EXPECT_EQ(names.size(), 12u);
  EXPECT_EQ(std::count(names.begin(), names.end(), "__metadata__"), 0);
}

TEST(Safetensors, ATensorOutlivesItsFolder) {
  const auto folder = temporary_folder();
  EditableModel().write(folder);
  const Tensor norm = SafetensorsFolder(folder).get("model.norm.weight", {8});
  std::filesystem::remove_all(folder);
  EXPECT_EQ(norm.view().as<float>()[7], 7.0f / 64.0f);
}

TEST(Safetensors, AnyAddressWillDo) {
  const auto folder = temporary_folder();
  for (size_t shift = 0; shift < 8; ++shift) {
    write_file(folder / "model.safetensors", EditableModel().file(shift));
    const Tensor norm = SafetensorsFolder(folder).get("model.norm.weight", {8});
    EXPECT_EQ(reinterpret_cast<uintptr_t>(norm.view().data) % sizeof(float), 0u);
    for (int i = 0; i < 8; ++i) EXPECT_EQ(norm.view().as<float>()[i], static_cast<float>(i) / 64.0f);
  }
}

TEST(Safetensors, ReadsHalvesAndScalarsAndEmptyTensors) {
  const auto folder = temporary_folder();
  EditableModel model;
  model.entries = {{"b", "\"BF16\"", "[2]", "[0,4]"},
                   {"none", "\"F32\"", "[0,7]", "[4,4]"},
                   {"h", "\"F16\"", "[1,2]", "[4,8]"},
                   {"scalar", "\"F32\"", "[]", "[8,12]"},
                   {"none.huge", "\"F32\"", "[4294967296,0,4294967296]", "[12,12]"}};
  const uint16_t halves[] = {0x3f80, 0xc000, 0x3c00, 0xc000};  // 1 and -2, in bf16 and in f16
  const float scalar = 0.25f;
  model.data.assign(reinterpret_cast<const char*>(halves), sizeof(halves));
  model.data.append(reinterpret_cast<const char*>(&scalar), sizeof(scalar));
  model.write(folder);
  SafetensorsFolder weights(folder);
  const Tensor b = weights.get("b", {2}), h = weights.get("h", {1, 2});
  EXPECT_EQ(to_float(b.view().as<bf16>()[0]), 1.0f);
  EXPECT_EQ(to_float(b.view().as<bf16>()[1]), -2.0f);
  EXPECT_EQ(to_float(h.view().as<f16>()[0]), 1.0f);
  EXPECT_EQ(to_float(h.view().as<f16>()[1]), -2.0f);
  EXPECT_EQ(weights.get("scalar", {}).view().as<float>()[0], 0.25f);
  EXPECT_EQ(weights.get("none", {0, 7}).view().numel(), 0);
}

// A dtype that we can't read is no reason to refuse a file, unless that tensor is asked for.
TEST(Safetensors, OtherTensorsMayBeOfAnyDtype) {
  const auto folder = temporary_folder();
  EditableModel model;
  for (const char* dtype : {"I64", "F64", "BOOL", "F8_E5M2", "Q4_K"}) {
    const size_t size = std::string(dtype) == "BOOL" || std::string(dtype) == "F8_E5M2" ? 2 : 16;
    model.entries.push_back({dtype, fmt::format("\"{}\"", dtype), "[2]",
                             fmt::format("[{},{}]", model.data.size(), model.data.size() + size)});
    model.data.append(size, '\1');
  }
  model.write(folder);
  SafetensorsFolder weights(folder);
  EXPECT_EQ(weights.get("model.norm.weight", {8}).view().dtype, DType::f32);
  EXPECT_THROW(weights.get("I64", {2}), InputError);
}

}  // namespace
}  // namespace llm
