// Reads and writes weights in the safetensors format: eight bytes of header length, a JSON header, then the numbers.
// https://github.com/huggingface/safetensors#format
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/model/weight_source.h"

namespace llm {

class Json;

// A tensor as a file has it, of any dtype and rank.
struct StoredTensor {
  std::string name;
  std::string dtype;  // as the format spells it: "BF16"
  std::vector<int64_t> shape;
  std::string_view bytes;              // in host memory
  std::shared_ptr<const void> memory;  // keeps the bytes
};

StoredTensor stored_tensor(const std::string& name, const Tensor& tensor);

// Tensors of large elements come first, as the format's own writer has it, so that all are aligned. Throws InputError,
// and leaves no file, where it can't be written.
void write_safetensors(const std::filesystem::path& path, std::vector<StoredTensor> tensors);

// A model folder's model.safetensors, or the shards that its model.safetensors.index.json names. Files are
// memory-mapped: the operating system reads what is touched, and may drop it again.
class SafetensorsFolder : public WeightSource {
 public:
  // Throws InputError where a file is absent, cut short, or its header is malformed: tensors that overlap, leave holes,
  // point outside the file, or whose sizes overflow or differ from shape and dtype.
  explicit SafetensorsFolder(const std::filesystem::path& folder);

  Tensor get(const std::string& name, Shape shape) override;
  std::vector<std::string> names() const;
  StoredTensor stored(const std::string& name) const;  // one of names(), whatever its dtype

 private:
  class MappedFile;
  struct Entry {
    std::string dtype;  // as the format spells it: "BF16"
    std::vector<int64_t> shape;
    int64_t begin = 0, end = 0;  // in bytes, from the beginning of the file's data
    std::shared_ptr<const MappedFile> file;
  };
  using Entries = std::map<std::string, Entry>;
  static Entry read_entry(const Json& json, int64_t data_size);
  static void check_layout(const Entries& entries, int64_t data_size, const std::string& file);
  static Entries read_header(const std::filesystem::path& path);
  void read_shards(const std::filesystem::path& index);

  std::filesystem::path contents_;  // the file that lists all tensors: model.safetensors or the index
  Entries entries_;
};

}  // namespace llm
