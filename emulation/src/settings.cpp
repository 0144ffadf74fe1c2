#include "settings.h"

#include <cstdlib>

namespace emulation {
namespace {

constexpr std::uint64_t kMostGpus = 16;
constexpr std::uint64_t kMostGiB = 4096;

std::string text_of(const char* variable, const std::string& otherwise) {
  const char* const value = std::getenv(variable);
  return value && *value ? value : otherwise;
}

bool digit(char c) { return c >= '0' && c <= '9'; }

// "gfx", a major version without a leading zero, a digit for the minor version, a hexadecimal one for the
// stepping (AMDGPUUsage, "Processors").
bool well_formed(const std::string& gfx) {
  if (gfx.size() < 6 || gfx.size() > 7 || gfx.compare(0, 3, "gfx") != 0 || gfx[3] == '0') return false;
  for (std::size_t i = 3; i + 1 < gfx.size(); ++i) {
    if (!digit(gfx[i])) return false;
  }
  return digit(gfx.back()) || (gfx.back() >= 'a' && gfx.back() <= 'f');
}

class Reader {
 public:
  explicit Reader(Settings& into) : into_(into) {}

  std::uint64_t number(const char* variable, std::uint64_t otherwise, std::uint64_t least,
                       std::uint64_t most) {
    const std::string text = text_of(variable, "");
    if (text.empty()) return otherwise;
    const auto value = decimal(text, most);
    if (value && *value >= least) return *value;
    refuse(variable, text, "a number from " + std::to_string(least) + " to " + std::to_string(most));
    return otherwise;
  }

  // The first one is said: one sentence is enough.
  void refuse(const char* variable, const std::string& text, const std::string& wanted) {
    if (!into_.problem.empty()) return;
    into_.problem = std::string(variable) + "=" + text + " cannot be used: it must be " + wanted;
  }

 private:
  Settings& into_;
};

Settings read() {
  Settings all;
  Reader reader(all);
  all.gpus = static_cast<unsigned>(reader.number("HSA_STANDIN_GPUS", all.gpus, 0, kMostGpus));
  all.memory_gib = reader.number("HSA_STANDIN_MEMORY_GIB", all.memory_gib, 1, kMostGiB);
  const std::string gfx = text_of("HSA_STANDIN_GFX", all.gfx);
  if (well_formed(gfx)) {
    all.gfx = gfx;
  } else {
    reader.refuse("HSA_STANDIN_GFX", gfx, "an architecture, such as gfx942 or gfx950");
  }
  all.name = text_of("HSA_STANDIN_NAME", "Emulated GPU: HSA on a CPU as " + all.gfx);
  for (const std::string& path : split(text_of("HSA_STANDIN_KERNELS", ""), ':')) {
    if (!path.empty()) all.kernels.push_back(path);
  }
  all.log = std::getenv("HSA_STANDIN_LOG") != nullptr;
  const std::string unknown = text_of("HSA_STANDIN_UNKNOWN", "");
  all.skip_unknown = unknown == "skip";
  if (!unknown.empty() && !all.skip_unknown)
    reader.refuse("HSA_STANDIN_UNKNOWN", unknown, "skip, or not set");
  if (!text_of("HSA_STANDIN_OVERLAP", "").empty()) {
    all.overlap = reader.number("HSA_STANDIN_OVERLAP", 0, 0, UINT64_MAX);
  }
  all.trace = text_of("HSA_STANDIN_TRACE", "");
  return all;
}

}  // namespace

const Settings& settings() {
  static const auto* const all = new Settings(read());  // never destroyed: threads outlive main()
  return *all;
}

std::optional<std::uint64_t> decimal(const std::string& text, std::uint64_t most) {
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (!digit(c)) return std::nullopt;
    const auto add = static_cast<std::uint64_t>(c - '0');
    if (value > (most - add) / 10 || add > most) return std::nullopt;
    value = value * 10 + add;
  }
  return value;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (c == separator) {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

}  // namespace emulation
