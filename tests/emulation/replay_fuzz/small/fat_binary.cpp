// Launches by a host function, as <<<>>> does, where the fat binary is for this GPU or only for another.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "case.h"

namespace replay_fuzz {
namespace {

struct Dim3 {
  u32 x, y, z;
};

// As clang emits them: the wrapper that is registered, and the entries of the bundle that it points to.
struct Wrapper {
  u32 magic = 0x48495046;  // "HIPF"
  u32 version = 1;
  const void* bundle;
  void* unused = nullptr;
};

constexpr char kMagic[] = "__CLANG_OFFLOAD_BUNDLE__";
constexpr std::size_t kPage = 4096;  // code objects lie on pages of their own

void append(std::vector<char>& to, const void* from, std::size_t bytes) {
  const char* const begin = static_cast<const char*>(from);
  to.insert(to.end(), begin, begin + bytes);
}

void append_entry(std::vector<char>& to, std::uint64_t offset, std::uint64_t bytes, const std::string& target) {
  const std::uint64_t length = target.size();
  append(to, &offset, sizeof offset);
  append(to, &bytes, sizeof bytes);
  append(to, &length, sizeof length);
  append(to, target.data(), target.size());
}

std::vector<char> bundle(const Image& image, const std::string& gfx) {
  std::vector<char> made;
  const std::uint64_t entries = 2;
  append(made, kMagic, sizeof kMagic - 1);
  append(made, &entries, sizeof entries);
  append_entry(made, kPage, 0, "host-x86_64-unknown-linux-gnu-");
  append_entry(made, kPage, image.size(), "hipv4-amdgcn-amd-amdhsa--" + gfx);
  made.resize(kPage);
  append(made, image.data(), image.size());
  return made;
}

// The GPU that a code object is for, from its own metadata.
std::string gfx_of(const Image& image) {
  const std::string text(image.begin(), image.end()), before = "amdgcn-amd-amdhsa--";
  const auto at = text.find(before) + before.size();
  return text.substr(at, text.find_first_not_of("gfxabcdef0123456789", at) - at);
}

void stub() {}  // what the program calls in the kernel's stead; its address is the kernel's name

struct Launched {
  int error;
  u32 word;
};

// A program's start, f_inplace registered, and a launch of it on a zeroed word.
Launched launch_from(const std::vector<char>& bundled) {
  char* const aligned = static_cast<char*>(std::aligned_alloc(kPage, (bundled.size() / kPage + 1) * kPage));
  std::memcpy(aligned, bundled.data(), bundled.size());
  static Wrapper wrapper;  // HIP keeps its address
  wrapper.bundle = aligned;
  using Register = void** (*)(const void*);
  void** const modules = reinterpret_cast<Register>(hip_function("__hipRegisterFatBinary"))(&wrapper);
  const void* const function = reinterpret_cast<const void*>(&stub);
  char name[] = "f_inplace";
  void* const none = nullptr;
  using RegisterFunction =
      void (*)(void**, const void*, char*, const char*, u32, void*, void*, void*, void*, void*);
  reinterpret_cast<RegisterFunction>(hip_function("__hipRegisterFunction"))(
      modules, function, name, name, ~0u, none, none, none, none, none);
  u32* word = zeroed(kFew);
  u32 words = 1, by = kBy;
  void* arguments[] = {&word, &words, &by};
  const Dim3 one{1, 1, 1};
  const int error = ask_hip("hipLaunchKernel", function, one, one, static_cast<void**>(arguments),
                            std::size_t{0}, Handle{nullptr});
  std::printf("hipLaunchKernel: %d\n", error);
  return {error, first_word(word)};
}

Outcome own(const Image& image) {
  const Launched done = launch_from(bundle(image, gfx_of(image)));
  return {done.error != 0 || done.word != mix(0, kBy), 1};
}

// Right is an error, whichever, and no launch.
Outcome foreign(const Image& image) {
  const Launched done = launch_from(bundle(image, "gfx90a"));
  return {done.error == 0 || done.word != 0, 1};
}

}  // namespace

const std::vector<Case>& fat_binary_cases() {
  static const std::vector<Case> all = {
      {"fat_own", "a program whose fat binary has a code object for this GPU", own},
      {"fat_foreign", "a program whose fat binary has one only for another GPU", foreign},
  };
  return all;
}

}  // namespace replay_fuzz
