// Modules and kernels: loads the shared object that the stand-in's hiprtc made, runs it in order.
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture.h"
#include "kernel_entry.h"

namespace standin {

struct Module {
  void* library = nullptr;
};

struct Function {
  const Entry* entry = nullptr;
};

}  // namespace standin

namespace {

using namespace standin;
constexpr unsigned kMaxThreads = 1024;  // of a block

using Arguments = std::vector<std::vector<std::max_align_t>>;

// hipModuleLoadData gets no size: an ELF file ends with its section headers or its last section.
std::size_t elf_size(const void* image) {
  ElfW(Ehdr) header;
  std::memcpy(&header, image, sizeof header);
  std::size_t end = header.e_shoff + std::size_t{header.e_shnum} * header.e_shentsize;
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    ElfW(Shdr) section;
    std::memcpy(&section, static_cast<const char*>(image) + header.e_shoff + i * sizeof section,
                sizeof section);
    if (section.sh_type == SHT_NOBITS) continue;
    end = std::max<std::size_t>(end, section.sh_offset + section.sh_size);
  }
  return end;
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

void* load(std::string_view image) {
  const int file = memfd_create("hip-stand-in-module", MFD_CLOEXEC);
  if (file < 0) return nullptr;
  void* library = nullptr;
  if (write_all(file, image)) {
    const std::string path = "/proc/self/fd/" + std::to_string(file);
    library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) std::fprintf(stderr, "HIP stand-in: cannot load a module: %s\n", dlerror());
  }
  // On success the file stays open: the loader knows libraries by path, and a second file with the
  // same number would be taken for this one.
  if (!library) close(file);
  return library;
}

// Images stay loaded, since a queued kernel may run after its module was unloaded; the same bytes
// are loaded once.
void* load_once(std::string_view image) {
  static auto& loaded = *new std::map<std::string, void*, std::less<>>;
  const auto found = loaded.find(image);
  if (found != loaded.end()) return found->second;
  void* const library = load(image);
  if (library) loaded.emplace(image, library);
  return library;
}

std::string_view without_features(std::string_view gfx) { return gfx.substr(0, gfx.find(':')); }

std::shared_ptr<const Arguments> copy_arguments(const Entry& entry, void** given) {
  auto copies = std::make_shared<Arguments>();
  for (unsigned long i = 0; i < entry.count; ++i) {
    const std::size_t size = entry.sizes[i];
    std::vector<std::max_align_t> copy((size + sizeof(std::max_align_t) - 1) /
                                       sizeof(std::max_align_t));
    std::memcpy(copy.data(), given[i], size);
    copies->push_back(std::move(copy));
  }
  return copies;
}

}  // namespace

extern "C" {

hipError_t hipModuleLoadData(hipModule_t* module, const void* image) {
  return call([&](State& state, Lock&) {
    if (!module || !image) return hipErrorInvalidValue;
    if (std::memcmp(image, ELFMAG, SELFMAG) != 0) return hipErrorInvalidImage;
    const auto* const bytes = static_cast<const char*>(image);
    void* const library = load_once({bytes, elf_size(image)});
    const auto* const arch =
        library ? static_cast<const char*>(dlsym(library, kArchSymbol)) : nullptr;
    if (!arch) return hipErrorInvalidImage;
    if (without_features(arch) != without_features(config().gfx)) return hipErrorNoBinaryForGpu;
    *module = state.modules.add(std::make_shared<Module>(Module{library}));
    return hipSuccess;
  });
}

hipError_t hipModuleUnload(hipModule_t module) {
  return call([&](State& state, Lock&) {
    if (const auto error = check_unsafe_call(state)) return error;
    return state.modules.remove(module) ? hipSuccess : hipErrorInvalidHandle;
  });
}

hipError_t hipModuleGetFunction(hipFunction_t* function, hipModule_t handle, const char* name) {
  return call([&](State& state, Lock&) {
    if (!function || !name) return hipErrorInvalidValue;
    const auto module = state.modules.find(handle);
    if (!module) return hipErrorInvalidHandle;
    const std::string symbol = std::string(kEntryPrefix) + name;
    const void* const entry = dlsym(module->library, symbol.c_str());
    if (!entry) return hipErrorNotFound;
    *function = state.functions.add(
        std::make_shared<Function>(Function{static_cast<const Entry*>(entry)}));
    return hipSuccess;
  });
}

hipError_t hipModuleLaunchKernel(hipFunction_t handle, unsigned grid_x, unsigned grid_y,
                                 unsigned grid_z, unsigned block_x, unsigned block_y,
                                 unsigned block_z, unsigned shared_bytes, hipStream_t stream,
                                 void** arguments, void** extra) {
  return call([&](State& state, Lock&) {
    const auto function = state.functions.find(handle);
    if (!function) return hipErrorInvalidHandle;
    if (shared_bytes != 0 || extra) return hipErrorNotSupported;
    const Grid grid = {{grid_x, grid_y, grid_z}, {block_x, block_y, block_z}};
    const bool empty = !grid_x || !grid_y || !grid_z || !block_x || !block_y || !block_z;
    const bool too_large = !empty && block_x > kMaxThreads / block_y / block_z;
    const Entry& entry = *function->entry;
    if (empty || too_large || (entry.count > 0 && !arguments)) return hipErrorInvalidValue;
    return submit(state, stream, [&entry, grid, copies = copy_arguments(entry, arguments)] {
      std::vector<const void*> pointers;
      for (const auto& copy : *copies) pointers.push_back(copy.data());
      entry.run(&grid, pointers.data());
    });
  });
}
}
