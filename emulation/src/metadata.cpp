#include "metadata.h"

#include <optional>

namespace emulation {
namespace {

// A value of MessagePack, as far as the metadata uses it.
struct Value {
  enum class Kind { kOther, kNumber, kText, kList, kMap } kind = Kind::kOther;
  std::uint64_t number = 0;
  std::string text;
  std::vector<Value> list;
  std::map<std::string, Value> map;

  const Value* find(const char* key) const {
    const auto found = map.find(key);
    return found == map.end() ? nullptr : &found->second;
  }
};

constexpr int kDeepest = 16;

class Unpacker {
 public:
  Unpacker(const char* bytes, std::size_t size) : at_(bytes), left_(size) {}

  std::optional<Value> next(int depth = 0) {
    const auto head = take(1);
    if (!head || depth > kDeepest) return std::nullopt;
    const auto byte = static_cast<unsigned>(*head);
    if (byte < 0x80) return number(byte);
    if (byte < 0x90) return map(byte & 15, depth);
    if (byte < 0xa0) return list(byte & 15, depth);
    if (byte < 0xc0) return text(byte & 31);
    if (byte >= 0xe0) return Value{};
    switch (byte) {
      case 0xc0:
      case 0xc2:
      case 0xc3: return Value{};  // nil, false, true
      case 0xc4:
      case 0xd9: return sized(1, &Unpacker::text_of, depth);
      case 0xc5:
      case 0xda: return sized(2, &Unpacker::text_of, depth);
      case 0xc6:
      case 0xdb: return sized(4, &Unpacker::text_of, depth);
      case 0xcc:
      case 0xd0: return integer(1);
      case 0xcd:
      case 0xd1: return integer(2);
      case 0xce:
      case 0xd2:
      case 0xca: return integer(4);
      case 0xcf:
      case 0xd3:
      case 0xcb: return integer(8);
      case 0xdc: return sized(2, &Unpacker::list, depth);
      case 0xdd: return sized(4, &Unpacker::list, depth);
      case 0xde: return sized(2, &Unpacker::map, depth);
      case 0xdf: return sized(4, &Unpacker::map, depth);
      default: return std::nullopt;  // extensions: none in the metadata
    }
  }

 private:
  using Read = std::optional<Value> (Unpacker::*)(std::uint64_t, int);

  // A big-endian number of so many bytes.
  std::optional<std::uint64_t> take(unsigned count) {
    if (left_ < count) return std::nullopt;
    std::uint64_t value = 0;
    for (unsigned i = 0; i < count; ++i) value = value << 8 | static_cast<unsigned char>(at_[i]);
    at_ += count;
    left_ -= count;
    return value;
  }

  std::optional<Value> sized(unsigned count, Read read, int depth) {
    const auto size = take(count);
    return size ? (this->*read)(*size, depth) : std::nullopt;
  }

  std::optional<Value> integer(unsigned count) {
    const auto value = take(count);
    return value ? number(*value) : std::nullopt;
  }

  static std::optional<Value> number(std::uint64_t value) {
    Value made;
    made.kind = Value::Kind::kNumber;
    made.number = value;
    return made;
  }

  std::optional<Value> text(std::uint64_t length) { return text_of(length, 0); }

  std::optional<Value> text_of(std::uint64_t length, int) {
    if (left_ < length) return std::nullopt;
    Value made;
    made.kind = Value::Kind::kText;
    made.text.assign(at_, length);
    at_ += length;
    left_ -= length;
    return made;
  }

  std::optional<Value> list(std::uint64_t count, int depth) {
    Value made;
    made.kind = Value::Kind::kList;
    for (std::uint64_t i = 0; i < count; ++i) {
      auto entry = next(depth + 1);
      if (!entry) return std::nullopt;
      made.list.push_back(std::move(*entry));
    }
    return made;
  }

  std::optional<Value> map(std::uint64_t count, int depth) {
    Value made;
    made.kind = Value::Kind::kMap;
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto key = next(depth + 1);
      auto value = key ? next(depth + 1) : std::nullopt;
      if (!value) return std::nullopt;
      made.map[key->text] = std::move(*value);
    }
    return made;
  }

  const char* at_;
  std::size_t left_;
};

std::vector<Argument> arguments_of(const Value& kernel) {
  std::vector<Argument> found;
  const Value* const all = kernel.find(".args");
  if (!all) return found;
  for (const Value& argument : all->list) {
    const Value* const kind = argument.find(".value_kind");
    const Value* const offset = argument.find(".offset");
    const Value* const size = argument.find(".size");
    if (!kind || !offset || !size || kind->text.compare(0, 7, "hidden_") == 0) continue;
    found.push_back({offset->number, size->number});
  }
  return found;
}

}  // namespace

std::map<std::string, std::vector<Argument>> kernel_arguments(const char* bytes, std::size_t size) {
  std::map<std::string, std::vector<Argument>> found;
  const auto root = Unpacker(bytes, size).next();
  const Value* const kernels = root ? root->find("amdhsa.kernels") : nullptr;
  if (!kernels) return found;
  for (const Value& kernel : kernels->list) {
    if (const Value* const symbol = kernel.find(".symbol")) found[symbol->text] = arguments_of(kernel);
  }
  return found;
}

}  // namespace emulation
