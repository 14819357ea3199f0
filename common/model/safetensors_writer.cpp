#include <algorithm>
#include <fstream>

#include "common/json/json.h"
#include "common/model/safetensors.h"

namespace llm {

namespace {

// The length, then the JSON, with spaces after it so that the data begins at a multiple of 8.
std::string header_of(const std::vector<StoredTensor>& tensors) {
  Json header = Json::object();
  header.set("__metadata__", Json::object().set("format", "pt"));
  int64_t begin = 0;
  for (const StoredTensor& tensor : tensors) {
    Json shape = Json::array(), offsets = Json::array();
    for (const int64_t dim : tensor.shape) shape.push(dim);
    offsets.push(begin);
    begin += static_cast<int64_t>(tensor.bytes.size());
    offsets.push(begin);
    header.set(tensor.name, Json::object().set("dtype", tensor.dtype).set("shape", shape).set("data_offsets", offsets));
  }
  std::string text = header.dump(-1);
  text.append((8 - text.size() % 8) % 8, ' ');
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + text;
}

size_t bytes_per_element(const StoredTensor& tensor) {
  size_t numel = 1;
  for (const int64_t dim : tensor.shape) numel *= static_cast<size_t>(dim);
  return numel == 0 ? 0 : tensor.bytes.size() / numel;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, std::vector<StoredTensor> tensors) {
  std::ranges::sort(tensors, [](const StoredTensor& a, const StoredTensor& b) {
    const size_t size_a = bytes_per_element(a), size_b = bytes_per_element(b);
    return size_a != size_b ? size_a > size_b : a.name < b.name;
  });
  std::ofstream file(path, std::ios::binary);
  file << header_of(tensors);
  for (const StoredTensor& tensor : tensors) {
    file.write(tensor.bytes.data(), static_cast<std::streamsize>(tensor.bytes.size()));
  }
  file.close();
  if (file) return;
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  fail_input("{}: can't be written; give a folder that may be written to, with room for the weights", path.string());
}

}  // namespace llm
