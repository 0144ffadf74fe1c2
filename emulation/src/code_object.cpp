#include "code_object.h"

#include <elf.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "hsa_interface.h"
#include "machine.h"

namespace emulation {
namespace {

// Relocations of a linked AMDGPU code object (AMDGPUUsage, "Relocation Records").
constexpr std::uint32_t kAbs64 = 3, kRelative64 = 13;

// The kernel descriptor of AMDGPUUsage, as far as it is read here.
struct Descriptor {
  std::uint32_t group_bytes, private_bytes, kernarg_bytes;
};

struct Reader {
  const char* bytes;
  std::size_t size;
};

struct Symbol {
  std::string name;
  bool kernel;
  std::uint64_t address;
  std::uint64_t bytes;
  hsa_agent_t agent;
  const LoadedKernel* loaded;
};

struct Executable {
  std::map<std::pair<std::string, std::uint64_t>, std::unique_ptr<Symbol>> symbols;  // by name and agent
  std::map<std::string, void*> defined;  // variables that the runtime defines before loading
  std::vector<std::pair<void*, std::size_t>> areas;
  std::vector<std::uint64_t> kernels;
};

struct Kernels {
  std::mutex mutex;
  std::map<std::uint64_t, std::unique_ptr<LoadedKernel>> by_descriptor;
};

Kernels& kernels() {
  static auto* const made = new Kernels;
  return *made;
}

template <class T>
const T* at(const Reader& reader, std::uint64_t offset) {
  return reinterpret_cast<const T*>(reader.bytes + offset);
}

// Lays out the segments; returns the address that the code object's address 0 has got.
char* lay_out(const Reader& reader, const Elf64_Ehdr& header, Executable& executable) {
  std::uint64_t end = 0;
  const auto* const segments = at<Elf64_Phdr>(reader, header.e_phoff);
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    if (segments[i].p_type == PT_LOAD)
      end = std::max<std::uint64_t>(end, segments[i].p_vaddr + segments[i].p_memsz);
  }
  void* const base = mmap(nullptr, end, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) fail("no memory for a code object of %lu bytes", end);
  executable.areas.emplace_back(base, end);
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    if (segments[i].p_type != PT_LOAD) continue;
    std::memcpy(static_cast<char*>(base) + segments[i].p_vaddr, reader.bytes + segments[i].p_offset,
                segments[i].p_filesz);
  }
  return static_cast<char*>(base);
}

const Elf64_Shdr* section_of_type(const Reader& reader, const Elf64_Ehdr& header, std::uint32_t type) {
  const auto* const sections = at<Elf64_Shdr>(reader, header.e_shoff);
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    if (sections[i].sh_type == type) return sections + i;
  }
  return nullptr;
}

// The kernels' arguments, out of the note that holds the metadata.
std::map<std::string, std::vector<Argument>> metadata(const Reader& reader, const Elf64_Ehdr& header) {
  constexpr std::uint32_t kMetadata = 32;  // NT_AMDGPU_METADATA
  const auto rounded = [](std::uint64_t size) { return (size + 3) / 4 * 4; };
  const auto* const segments = at<Elf64_Phdr>(reader, header.e_phoff);
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    if (segments[i].p_type != PT_NOTE) continue;
    const std::uint64_t end =
        std::min<std::uint64_t>(segments[i].p_offset + segments[i].p_filesz, reader.size);
    for (std::uint64_t offset = segments[i].p_offset; offset + sizeof(Elf64_Nhdr) <= end;) {
      const auto& note = *at<Elf64_Nhdr>(reader, offset);
      const std::uint64_t content = offset + sizeof note + rounded(note.n_namesz);
      if (content + note.n_descsz > end) break;
      if (note.n_type == kMetadata) return kernel_arguments(reader.bytes + content, note.n_descsz);
      offset = content + rounded(note.n_descsz);
    }
  }
  return {};
}

void relocate(const Reader& reader, const Elf64_Ehdr& header, const Elf64_Sym* symbols, const char* names,
              char* base, const Executable& executable) {
  const auto* const sections = at<Elf64_Shdr>(reader, header.e_shoff);
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    if (sections[i].sh_type != SHT_RELA) continue;
    const auto* const records = at<Elf64_Rela>(reader, sections[i].sh_offset);
    for (std::size_t j = 0; j < sections[i].sh_size / sizeof *records; ++j) {
      const auto& record = records[j];
      const auto type = static_cast<std::uint32_t>(ELF64_R_TYPE(record.r_info));
      std::uint64_t value = 0;
      if (type == kRelative64) {
        value = reinterpret_cast<std::uint64_t>(base) + static_cast<std::uint64_t>(record.r_addend);
      } else if (type == kAbs64) {
        const Elf64_Sym& symbol = symbols[ELF64_R_SYM(record.r_info)];
        const auto given = executable.defined.find(names + symbol.st_name);
        const std::uint64_t target = given != executable.defined.end()
                                         ? reinterpret_cast<std::uint64_t>(given->second)
                                         : reinterpret_cast<std::uint64_t>(base) + symbol.st_value;
        value = target + static_cast<std::uint64_t>(record.r_addend);
      } else {
        fail("relocation type %u in a code object", type);
      }
      std::memcpy(base + record.r_offset, &value, sizeof value);
    }
  }
}

bool ends_with(const std::string& text, const char* end) {
  const std::size_t length = std::strlen(end);
  return text.size() >= length && text.compare(text.size() - length, length, end) == 0;
}

const LoadedKernel* add_kernel(Executable& executable, const std::string& symbol, std::uint64_t address,
                               std::vector<Argument> arguments) {
  Descriptor descriptor;
  std::memcpy(&descriptor, reinterpret_cast<const void*>(address), sizeof descriptor);
  auto kernel = std::make_unique<LoadedKernel>();
  *kernel = {symbol.substr(0, symbol.size() - 3),
             address,
             descriptor.group_bytes,
             descriptor.private_bytes,
             descriptor.kernarg_bytes,
             std::move(arguments)};
  const LoadedKernel* const made = kernel.get();
  const std::lock_guard<std::mutex> lock(kernels().mutex);
  kernels().by_descriptor[address] = std::move(kernel);
  executable.kernels.push_back(address);
  return made;
}

hsa_status_t load(Executable& executable, hsa_agent_t agent, const Reader& reader) {
  const auto& header = *at<Elf64_Ehdr>(reader, 0);
  if (reader.size < sizeof header || std::memcmp(reader.bytes, ELFMAG, SELFMAG) != 0 ||
      header.e_machine != 224) {
    return HSA_STATUS_ERROR_INVALID_CODE_OBJECT;
  }
  char* const base = lay_out(reader, header, executable);
  const Elf64_Shdr* const table = section_of_type(reader, header, SHT_DYNSYM);
  if (!table) return HSA_STATUS_ERROR_INVALID_CODE_OBJECT;
  const auto* const symbols = at<Elf64_Sym>(reader, table->sh_offset);
  const char* const names =
      at<char>(reader, at<Elf64_Shdr>(reader, header.e_shoff)[table->sh_link].sh_offset);
  relocate(reader, header, symbols, names, base, executable);
  auto arguments = metadata(reader, header);
  for (std::size_t i = 0; i < table->sh_size / sizeof *symbols; ++i) {
    const Elf64_Sym& entry = symbols[i];
    const unsigned type = ELF64_ST_TYPE(entry.st_info);
    if (entry.st_shndx == SHN_UNDEF || type != STT_OBJECT) continue;
    const std::string name = names + entry.st_name;
    const std::uint64_t address = reinterpret_cast<std::uint64_t>(base) + entry.st_value;
    const bool kernel = ends_with(name, ".kd");
    const LoadedKernel* const loaded =
        kernel ? add_kernel(executable, name, address, std::move(arguments[name])) : nullptr;
    executable.symbols[{name, agent.handle}] =
        std::make_unique<Symbol>(Symbol{name, kernel, address, entry.st_size, agent, loaded});
  }
  log("a code object of %zu bytes, %zu kernels", reader.size, executable.kernels.size());
  return HSA_STATUS_SUCCESS;
}

template <class T>
T* object(std::uint64_t handle) {
  return reinterpret_cast<T*>(handle);
}

template <class T>
std::uint64_t handle(T* pointer) {
  return reinterpret_cast<std::uint64_t>(pointer);
}

}  // namespace

const LoadedKernel* kernel_at(std::uint64_t kernel_object) {
  const std::lock_guard<std::mutex> lock(kernels().mutex);
  const auto found = kernels().by_descriptor.find(kernel_object);
  return found == kernels().by_descriptor.end() ? nullptr : found->second.get();
}

}  // namespace emulation

using namespace emulation;

extern "C" {

hsa_status_t hsa_code_object_reader_create_from_memory(const void* bytes, size_t size,
                                                       hsa_code_object_reader_t* reader) {
  reader->handle = handle(new Reader{static_cast<const char*>(bytes), size});
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_code_object_reader_destroy(hsa_code_object_reader_t reader) {
  delete object<Reader>(reader.handle);
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_executable_create_alt(hsa_profile_t, hsa_default_float_rounding_mode_t, const char*,
                                       hsa_executable_t* executable) {
  executable->handle = handle(new Executable);
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_executable_destroy(hsa_executable_t given) {
  auto* const executable = object<Executable>(given.handle);
  {
    const std::lock_guard<std::mutex> lock(kernels().mutex);
    for (const std::uint64_t address : executable->kernels) kernels().by_descriptor.erase(address);
  }
  for (const auto& [base, size] : executable->areas) munmap(base, size);
  delete executable;
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_executable_load_agent_code_object(hsa_executable_t executable, hsa_agent_t agent,
                                                   hsa_code_object_reader_t reader, const char*,
                                                   hsa_loaded_code_object_t* loaded) {
  if (loaded) loaded->handle = executable.handle;
  return load(*object<Executable>(executable.handle), agent, *object<Reader>(reader.handle));
}

hsa_status_t hsa_executable_freeze(hsa_executable_t, const char*) { return HSA_STATUS_SUCCESS; }

hsa_status_t hsa_executable_agent_global_variable_define(hsa_executable_t executable, hsa_agent_t,
                                                         const char* name, void* address) {
  object<Executable>(executable.handle)->defined[name] = address;
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_executable_get_symbol_by_name(hsa_executable_t given, const char* name,
                                               const hsa_agent_t* agent, hsa_executable_symbol_t* symbol) {
  auto& symbols = object<Executable>(given.handle)->symbols;
  const auto found = symbols.find({name, agent ? agent->handle : 0});
  if (found == symbols.end()) return HSA_STATUS_ERROR_INVALID_SYMBOL_NAME;
  symbol->handle = handle(found->second.get());
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_executable_iterate_symbols(hsa_executable_t executable,
                                            hsa_status_t (*callback)(hsa_executable_t,
                                                                     hsa_executable_symbol_t, void*),
                                            void* data) {
  for (const auto& entry : object<Executable>(executable.handle)->symbols) {
    const hsa_status_t status = callback(executable, {handle(entry.second.get())}, data);
    if (status != HSA_STATUS_SUCCESS) return status;
  }
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_executable_symbol_get_info(hsa_executable_symbol_t given,
                                            hsa_executable_symbol_info_t attribute, void* value) {
  const auto& symbol = *object<Symbol>(given.handle);
  const auto put = [value](auto answer) {
    std::memcpy(value, &answer, sizeof answer);
    return HSA_STATUS_SUCCESS;
  };
  const LoadedKernel* const kernel = symbol.loaded;
  switch (static_cast<unsigned>(attribute)) {
    case HSA_EXECUTABLE_SYMBOL_INFO_TYPE:
      return put(symbol.kernel ? HSA_SYMBOL_KIND_KERNEL : HSA_SYMBOL_KIND_VARIABLE);
    case HSA_EXECUTABLE_SYMBOL_INFO_NAME_LENGTH: return put(static_cast<std::uint32_t>(symbol.name.size()));
    case HSA_EXECUTABLE_SYMBOL_INFO_NAME:
      std::memcpy(value, symbol.name.data(), symbol.name.size());
      return HSA_STATUS_SUCCESS;
    case HSA_EXECUTABLE_SYMBOL_INFO_AGENT: return put(symbol.agent);
    case HSA_EXECUTABLE_SYMBOL_INFO_VARIABLE_ADDRESS: return put(symbol.address);
    case HSA_EXECUTABLE_SYMBOL_INFO_VARIABLE_SIZE: return put(static_cast<std::uint32_t>(symbol.bytes));
    case HSA_EXECUTABLE_SYMBOL_INFO_LINKAGE: return put(HSA_SYMBOL_LINKAGE_PROGRAM);
    case HSA_EXECUTABLE_SYMBOL_INFO_IS_DEFINITION: return put(true);
  }
  if (!kernel) return HSA_STATUS_ERROR_INVALID_ARGUMENT;
  switch (static_cast<unsigned>(attribute)) {
    case HSA_EXECUTABLE_SYMBOL_INFO_KERNEL_OBJECT: return put(kernel->descriptor);
    case HSA_EXECUTABLE_SYMBOL_INFO_KERNEL_KERNARG_SEGMENT_SIZE: return put(kernel->kernarg_bytes);
    case HSA_EXECUTABLE_SYMBOL_INFO_KERNEL_KERNARG_SEGMENT_ALIGNMENT: return put(std::uint32_t{16});
    case HSA_EXECUTABLE_SYMBOL_INFO_KERNEL_GROUP_SEGMENT_SIZE: return put(kernel->group_bytes);
    case HSA_EXECUTABLE_SYMBOL_INFO_KERNEL_PRIVATE_SEGMENT_SIZE: return put(kernel->private_bytes);
    case HSA_EXECUTABLE_SYMBOL_INFO_KERNEL_DYNAMIC_CALLSTACK: return put(false);
  }
  log("a kernel symbol was asked for attribute %u", static_cast<unsigned>(attribute));
  return HSA_STATUS_ERROR_INVALID_ARGUMENT;
}
}
