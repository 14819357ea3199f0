// Weights: model.safetensors, or where the input is JSON the index, whose two shards are healthy.
#include "common/model/safetensors.h"
#include "tests/fuzz/fuzzing.h"

namespace llm {
namespace {

std::string file_of(std::string_view header, size_t data_size) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + std::string(header) +
         std::string(data_size, '\0');
}

std::map<std::string, StoredTensor> all_tensors(const SafetensorsFolder& folder) {
  std::map<std::string, StoredTensor> tensors;
  for (const std::string& name : folder.names()) tensors.emplace(name, folder.stored(name));
  return tensors;
}

// As a model asks for a weight: by shape, and in a format that can be computed with.
void get(SafetensorsFolder& folder, const StoredTensor& tensor) {
  const auto& dims = tensor.shape;
  const bool modest = std::ranges::all_of(dims, [](int64_t dim) { return dim <= 1 << 24; });
  if (!modest || dims.empty() || dims.size() > 2) return;
  const Shape shape = dims.size() == 1 ? Shape{dims[0]} : Shape{dims[0], dims[1]};
  accepts([&] {
    const Tensor weight = folder.get(tensor.name, shape);
    const TensorView view = weight;
    check(view.nbytes() == tensor.bytes.size(), "a weight has as many bytes as the file has for it");
    check(std::string_view(static_cast<const char*>(view.data), view.nbytes()) == tensor.bytes, "and the same ones");
  });
}

}  // namespace

void fuzz(std::string_view input) {
  static const FuzzFolder folder, copy;
  const bool is_index = input.starts_with("{");
  if (is_index) {
    folder.remove("model.safetensors");
    folder.write("model.safetensors.index.json", input);
    folder.write("a.safetensors", file_of(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8));
    folder.write("b.safetensors", file_of(R"({"y":{"dtype":"BF16","shape":[1,3],"data_offsets":[0,6]}})", 6));
  } else {
    folder.write("model.safetensors", input);
  }
  accepts([&] {
    SafetensorsFolder weights(folder.path());
    std::vector<StoredTensor> stored;
    for (const auto& [name, tensor] : all_tensors(weights)) {
      get(weights, tensor);
      stored.push_back(tensor);
    }
    // What was read can be written, and says the same.
    write_safetensors(copy.path() / "model.safetensors", stored);
    const SafetensorsFolder again(copy.path());
    const auto tensors = all_tensors(again);
    check(tensors.size() == stored.size(), "a copy has as many tensors");
    for (const StoredTensor& tensor : stored) {
      const auto found = tensors.find(tensor.name);
      check(found != tensors.end(), "a copy has the same tensors");
      check(found->second.dtype == tensor.dtype && found->second.shape == tensor.shape, "of the same shape");
      check(found->second.bytes == tensor.bytes, "with the same bytes");
    }
  });
}

}  // namespace llm
