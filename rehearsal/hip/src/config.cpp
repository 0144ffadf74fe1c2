#include "config.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string_view>
#include <tuple>

namespace standin {
namespace {

constexpr int kMaxDevices = 16;
constexpr const char* kVersionFile = "/opt/rocm/.info/version";

std::optional<int> take_number(std::string_view& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

// "7.2.0", "7.2" and "7.2.0-43" as the version file has it; nothing else.
std::optional<RocmVersion> parse_version(std::string_view text) {
  RocmVersion version;
  int* const parts[] = {&version.major, &version.minor, &version.patch};
  int count = 0;
  for (int* part : parts) {
    const auto number = take_number(text);
    if (!number) return std::nullopt;
    *part = *number;
    ++count;
    if (text.empty() || text.front() != '.') break;
    text.remove_prefix(1);
  }
  const bool ends_well = text.empty() || text.front() == '-';
  if (count < 2 || !ends_well) return std::nullopt;
  return version;
}

bool is_gfx(std::string_view text) {
  const std::string_view target = text.substr(0, text.find(':'));  // features follow a colon
  if (target.substr(0, 3) != "gfx" || target.size() < 6 || target.size() > 8) return false;
  return target.find_first_not_of("0123456789abcdef", 3) == std::string_view::npos &&
         text.size() < 256;
}

void complain(const std::string& what) {
  std::fprintf(stderr, "HIP stand-in: %s; no device is reported\n", what.c_str());
}

std::optional<RocmVersion> read_version() {
  const char* given = std::getenv("HIP_STANDIN_ROCM");
  std::string text = given ? given : "";
  if (!given) {
    std::ifstream file(kVersionFile);
    if (!std::getline(file, text)) {
      complain(std::string("cannot read ") + kVersionFile + ", and HIP_STANDIN_ROCM is not set");
      return std::nullopt;
    }
    text.erase(text.find_last_not_of(" \t\r") + 1);
  }
  const auto version = parse_version(text);
  if (!version) {
    complain(std::string(given ? "HIP_STANDIN_ROCM" : kVersionFile) + " says '" + text +
             "', which is not a version such as 7.2.0");
  }
  return version;
}

Config resolve() {
  Config result;
  const auto version = read_version();
  if (version) result.rocm = *version;

  const char* gfx = std::getenv("HIP_STANDIN_GFX");
  result.gfx = gfx ? gfx : "gfx942";
  const bool good_gfx = is_gfx(result.gfx);
  if (!good_gfx) {
    complain("HIP_STANDIN_GFX='" + result.gfx + "' is not a gfx name such as gfx942");
  }

  const char* wanted = std::getenv("HIP_STANDIN_DEVICES");
  if (!wanted) return result;
  std::string_view text = wanted;
  const auto count = take_number(text);
  if (!count || !text.empty() || *count > kMaxDevices) {
    complain("HIP_STANDIN_DEVICES='" + std::string(wanted) + "' is not a number from 0 to " +
             std::to_string(kMaxDevices));
  } else if (version && good_gfx) {
    result.devices = *count;
  }
  return result;
}

}  // namespace

bool RocmVersion::below(int other_major, int other_minor, int other_patch) const {
  return std::tie(major, minor, patch) < std::tie(other_major, other_minor, other_patch);
}

int RocmVersion::runtime_integer() const {
  const int base = std::min(major, 99) * 10'000'000 + std::min(minor, 99) * 100'000;
  const bool known_minor = major == 7 && minor == 2;
  if (known_minor && patch == 0) return base + 26015;
  if (known_minor) return base + 53211 + std::min(std::max(patch - 4, 0), 9999);
  return base + std::min(patch, 99) * 1000;
}

const Config& config() {
  static const Config& resolved = *new Config(resolve());
  return resolved;
}

}  // namespace standin
