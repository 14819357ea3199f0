#include "common/model/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>

#include "common/json/json.h"

namespace llm {

namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian, and are read in place");

constexpr size_t kLengthBytes = 8;
constexpr size_t kMaxHeader = 100'000'000;  // the limit of the format's own reader
constexpr const char* kFetchAgain = "download or copy the file again";

// Bits of one element, or nothing for a dtype we have not heard of.
std::optional<int64_t> bits_of(const std::string& dtype) {
  static const std::map<std::string, int64_t> bits = {
      {"F64", 64},    {"I64", 64},    {"U64", 64},    {"C64", 64},    {"F32", 32},    {"I32", 32}, {"U32", 32},
      {"F16", 16},    {"BF16", 16},   {"I16", 16},    {"U16", 16},    {"BOOL", 8},    {"U8", 8},   {"I8", 8},
      {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4}};
  const auto found = bits.find(dtype);
  return found == bits.end() ? std::nullopt : std::optional(found->second);
}

std::optional<DType> readable(const std::string& dtype) {
  if (dtype == "F32") return DType::f32;
  if (dtype == "BF16") return DType::bf16;
  if (dtype == "F16") return DType::f16;
  return std::nullopt;
}

std::vector<int64_t> dims_of(const Shape& shape) {
  std::vector<int64_t> dims;
  for (int i = 0; i < shape.rank(); ++i) dims.push_back(shape[i]);
  return dims;
}

std::string to_string(const std::vector<int64_t>& dims) {  // of any rank, as Shape's own: "[3, 4]"
  std::string text = "[";
  for (const int64_t dim : dims) text += fmt::format("{}{}", text.size() == 1 ? "" : ", ", dim);
  return text + "]";
}

// The size in bits that shape and dtype ask for; an overflow is the field's mistake.
int64_t checked_bits(const Json& shape, const std::vector<int64_t>& dims, int64_t bits_per_element) {
  int64_t bits = bits_per_element;
  const bool empty = std::find(dims.begin(), dims.end(), 0) != dims.end();
  for (const int64_t dim : dims) {
    if (!empty && __builtin_mul_overflow(bits, dim, &bits)) shape.fail("is larger than any file; give the true shape");
  }
  return empty ? 0 : bits;
}

}  // namespace

class SafetensorsFolder::MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path) : path_(path) {
    map();
    uint64_t length = 0;
    std::memcpy(&length, bytes(), kLengthBytes);
    const size_t limit = std::min(size_ - kLengthBytes, kMaxHeader);
    if (length == 0 || length > limit) {
      fail_input("{}: the header's length is {}, but must be from 1 to {}; {}", name(), length, limit, kFetchAgain);
    }
    header_size_ = static_cast<size_t>(length);
  }

  std::string name() const { return path_.string(); }
  std::string_view header() const { return {bytes() + kLengthBytes, header_size_}; }
  char* data() const { return bytes() + kLengthBytes + header_size_; }
  int64_t data_size() const { return static_cast<int64_t>(size_ - kLengthBytes - header_size_); }

 private:
  void map() {
    const int file = open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a named pipe must not make us wait
    if (file < 0) fail_input("{}: can't be opened ({}); check its permissions", name(), strerror(errno));
    struct stat status {};
    const bool regular = fstat(file, &status) == 0 && S_ISREG(status.st_mode);
    if (regular) size_ = static_cast<size_t>(status.st_size);
    void* mapping = size_ > kLengthBytes ? mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0) : MAP_FAILED;
    const int error = errno;
    close(file);
    if (!regular) fail_input("{}: is not a file; give a file in the safetensors format", name());
    if (size_ <= kLengthBytes) {
      fail_input("{}: holds {} bytes, too few for a safetensors header; {}", name(), size_, kFetchAgain);
    }
    if (mapping == MAP_FAILED) fail_input("{}: can't be mapped ({}); free some memory", name(), strerror(error));
    mapping_ = {mapping, [size = size_](void* memory) { munmap(memory, size); }};
  }

  char* bytes() const { return static_cast<char*>(mapping_.get()); }

  std::filesystem::path path_;
  std::shared_ptr<void> mapping_;
  size_t size_ = 0, header_size_ = 0;
};

// One tensor of the header. Its bytes are counted from the beginning of the data, of which there are `data_size`.
SafetensorsFolder::Entry SafetensorsFolder::read_entry(const Json& json, int64_t data_size) {
  Entry entry;
  entry.dtype = json.at("dtype").string();
  json.at("shape").for_each([&](const Json& dim) { entry.shape.push_back(dim.integer(0)); });

  const Json offsets = json.at("data_offsets");
  if (!offsets.is_array() || offsets.size() != 2) offsets.fail("must be two integers, where the data begins and ends");
  entry.begin = offsets.at(size_t{0}).integer(0);
  entry.end = offsets.at(size_t{1}).integer(0);
  if (entry.begin > entry.end) {
    offsets.fail(fmt::format("end before they begin ({} > {}); {}", entry.begin, entry.end, kFetchAgain));
  }
  if (entry.end > data_size) {
    offsets.fail(fmt::format("end at byte {}, but the file holds {} bytes of data: it is cut short; {}", entry.end,
                             data_size, kFetchAgain));
  }
  const std::optional<int64_t> bits_per_element = bits_of(entry.dtype);
  const int64_t bits = checked_bits(json.at("shape"), entry.shape, bits_per_element.value_or(1));
  const int64_t spanned = entry.end - entry.begin;  // within a mapped file, so eight times it does not overflow
  if (bits_per_element && bits != spanned * 8) {
    offsets.fail(fmt::format("span {} bytes, but shape and dtype ask for {}; {}", spanned, bits / 8, kFetchAgain));
  }
  return entry;
}

// The format allows no byte to belong to two tensors, or to none.
void SafetensorsFolder::check_layout(const Entries& entries, int64_t data_size, const std::string& file) {
  std::vector<const Entries::value_type*> in_order;
  for (const auto& item : entries) in_order.push_back(&item);
  std::sort(in_order.begin(), in_order.end(), [](const auto* a, const auto* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  int64_t expected = 0;
  for (const auto* item : in_order) {
    const int64_t begin = item->second.begin;
    if (begin != expected) {
      fail_input("{}: {}.data_offsets begin at byte {}, {} byte {}, where the tensor before ends; {}", file,
                 item->first, begin, begin < expected ? "overlapping" : "leaving a hole after", expected, kFetchAgain);
    }
    expected = item->second.end;
  }
  if (expected != data_size) {
    fail_input("{}: data_offsets of the last tensor end at byte {}, but the file holds {} bytes of data; {}", file,
               expected, data_size, kFetchAgain);
  }
}

SafetensorsFolder::Entries SafetensorsFolder::read_header(const std::filesystem::path& path) {
  const auto file = std::make_shared<const MappedFile>(path);
  Entries entries;
  Json::parse(file->header(), file->name()).for_each_item([&](const std::string& name, const Json& json) {
    if (name == "__metadata__") return;
    Entry entry = read_entry(json, file->data_size());
    entry.file = file;
    entries.emplace(name, std::move(entry));
  });
  check_layout(entries, file->data_size(), file->name());
  return entries;
}

void SafetensorsFolder::read_shards(const std::filesystem::path& index) {
  std::map<std::string, Entries> shards;
  Json::parse_file(index).at("weight_map").for_each_item([&](const std::string& name, const Json& json) {
    const std::string shard = json.string();
    const std::filesystem::path path(shard);
    if (shard.empty() || path.filename() != path || shard == "." || shard == "..") {
      json.fail(fmt::format("is \"{}\", but must be the name of a file in the same folder", shard));
    }
    auto found = shards.find(shard);
    if (found == shards.end()) {
      std::error_code error;
      if (!std::filesystem::exists(index.parent_path() / path, error)) {
        json.fail(fmt::format("is \"{}\", a file that is not in the folder; download or copy it there", shard));
      }
      found = shards.emplace(shard, read_header(index.parent_path() / path)).first;
    }
    const auto entry = found->second.find(name);
    if (entry == found->second.end()) {
      json.fail(
          fmt::format("is \"{}\", but that file has no such tensor; download the index and its shards again", shard));
    }
    entries_.insert(*entry);
  });
}

SafetensorsFolder::SafetensorsFolder(const std::filesystem::path& folder) {
  std::error_code error;
  const std::filesystem::path file = folder / "model.safetensors";
  const std::filesystem::path index = folder / "model.safetensors.index.json";
  if (std::filesystem::exists(file, error)) {
    contents_ = file;
    entries_ = read_header(file);
  } else if (std::filesystem::exists(index, error)) {
    contents_ = index;
    read_shards(index);
  } else {
    fail_input(
        "{}: has neither model.safetensors nor model.safetensors.index.json; give a model folder with its weights "
        "in the safetensors format",
        folder.string());
  }
}

Tensor SafetensorsFolder::get(const std::string& name, Shape shape) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    fail_input("{}: lacks the tensor {}, which config.json asks for; give weights and config.json of the same model",
               contents_.string(), name);
  }
  const Entry& entry = found->second;
  if (entry.shape != dims_of(shape)) {
    fail_input("{}: {}.shape is {}, but config.json asks for {}; give weights and config.json of the same model",
               entry.file->name(), name, to_string(entry.shape), shape);
  }
  const std::optional<DType> dtype = readable(entry.dtype);
  if (!dtype) {
    fail_input("{}: {}.dtype is {}, which is not supported; convert the weights to F32, BF16 or F16",
               entry.file->name(), name, entry.dtype);
  }

  char* data = entry.file->data() + entry.begin;
  if (reinterpret_cast<uintptr_t>(data) % size_of(*dtype) == 0) {
    return {TensorView{data, shape, *dtype, Device::cpu}, std::shared_ptr<void>(entry.file, data)};
  }
  Tensor aligned(shape, *dtype);  // the format does not ask for alignment, our loops do
  std::memcpy(aligned.view().data, data, aligned.view().nbytes());
  return aligned;
}

std::vector<std::string> SafetensorsFolder::names() const {
  std::vector<std::string> names;
  for (const auto& item : entries_) names.push_back(item.first);
  return names;
}

StoredTensor SafetensorsFolder::stored(const std::string& name) const {
  const Entry& entry = entries_.at(name);
  const std::string_view data(entry.file->data(), static_cast<size_t>(entry.file->data_size()));
  return {name, entry.dtype, entry.shape,
          data.substr(static_cast<size_t>(entry.begin), static_cast<size_t>(entry.end - entry.begin)), entry.file};
}

StoredTensor stored_tensor(const std::string& name, const Tensor& tensor) {
  const TensorView view = tensor;
  require(view.dtype != DType::i32 && view.device == Device::cpu, "{} is not a weight in host memory", name);
  const char* const dtype = view.dtype == DType::bf16 ? "BF16" : view.dtype == DType::f16 ? "F16" : "F32";
  const std::string_view bytes(static_cast<const char*>(view.data), view.nbytes());
  return {name, dtype, dims_of(view.shape), bytes, std::make_shared<Tensor>(tensor)};
}

}  // namespace llm
