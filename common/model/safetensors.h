// Reads weights in the safetensors format: eight bytes of header length, a JSON header, then the numbers.
// https://github.com/huggingface/safetensors#format
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/tensor/tensor.h"

namespace llm {

// Somewhere that weights come from, by their Hugging Face name.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  virtual bool has(const std::string& name) const = 0;
  // f32, bf16 or f16 in host memory, valid for as long as the source. Throws InputError when it is absent or its
  // shape differs.
  virtual TensorView get(const std::string& name, Shape shape) = 0;
};

// A model folder's model.safetensors, or the shards that its model.safetensors.index.json names. Files are
// memory-mapped: the operating system reads what is touched, and may drop it again.
class SafetensorsFolder : public WeightSource {
 public:
  // Throws InputError for headers that are truncated, overlap, point outside the file, overflow, or are malformed.
  explicit SafetensorsFolder(const std::filesystem::path& folder);
  ~SafetensorsFolder() override;

  bool has(const std::string& name) const override;
  TensorView get(const std::string& name, Shape shape) override;
  std::vector<std::string> names() const;

 private:
  struct MappedFile;
  struct Entry {
    TensorView view;
    const MappedFile* file;
  };
  void add_file(const std::filesystem::path& path);

  std::filesystem::path folder_;
  std::vector<std::unique_ptr<MappedFile>> files_;
  std::map<std::string, Entry> entries_;
};

}  // namespace llm
