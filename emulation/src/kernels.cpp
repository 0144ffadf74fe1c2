#include "kernels.h"

#include <dirent.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "endings.h"
#include "machine.h"
#include "settings.h"

namespace emulation {
namespace {

void open_library(std::vector<void*>& into, const std::string& path) {
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) fail("the kernels of %s cannot be loaded: %s", path.c_str(), dlerror());
  const auto* const version = static_cast<const int*>(dlsym(library, "hsa_standin_kernels_version"));
  if (!version || *version != HSA_STANDIN_KERNELS_VERSION) {
    fail("%s was not built for this emulator; build it again with its build_kernels.sh", path.c_str());
  }
  into.push_back(library);
}

// Every file NAME.kernels.so in this library's own folder, by name.
std::vector<std::string> beside() {
  Dl_info self;
  static const char here = 0;
  if (!dladdr(&here, &self) || !self.dli_fname) return {};
  const std::string file = self.dli_fname;
  const auto slash = file.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : file.substr(0, slash);
  std::vector<std::string> found;
  DIR* const entries = opendir(folder.c_str());
  if (!entries) return found;
  while (const dirent* const entry = readdir(entries)) {
    if (ends_with(entry->d_name, ".kernels.so")) found.push_back(folder + "/" + entry->d_name);
  }
  closedir(entries);
  std::sort(found.begin(), found.end());
  return found;
}

// Those that HSA_STANDIN_KERNELS names come first: they may replace what lies beside this library.
std::vector<void*> libraries() {
  std::vector<void*> found;
  for (const std::string& path : settings().kernels) open_library(found, path);
  for (const std::string& path : beside()) open_library(found, path);
  return found;
}

Run find(const char* name) {
  if (const Run own = own_kernel(name)) return own;
  static const auto* const all = new std::vector<void*>(libraries());
  for (void* const library : *all) {
    if (void* const entry = dlsym(library, ("hsa_standin_kernel_" + std::string(name)).c_str()))
      return reinterpret_cast<Run>(entry);
  }
  return nullptr;
}

void skip(const Launch*) {}

Run find_or_skip(const char* name) {
  if (const Run run = find(name)) return run;
  if (!settings().skip_unknown) {
    fail(
        "there is no CPU function for the kernel %s; compile its source with build_kernels.sh and name the "
        "library in HSA_STANDIN_KERNELS, or set HSA_STANDIN_UNKNOWN=skip to leave such kernels out",
        name);
  }
  say("there is no CPU function for the kernel %s; its dispatches do nothing", name);
  return skip;
}

}  // namespace

void run_kernel(const Launch& launch) {
  static auto* const mutex = new std::mutex;
  static auto* const found = new std::map<std::string, Run>;
  Run run = nullptr;
  {
    const std::lock_guard<std::mutex> lock(*mutex);
    const auto [entry, fresh] = found->try_emplace(launch.name, nullptr);
    if (fresh) entry->second = find_or_skip(launch.name);
    run = entry->second;
  }
  run(&launch);
}

}  // namespace emulation
