#include "code_object.h"

#include <elf.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "endings.h"
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

}  // namespace

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

void unload(Executable& executable) {
  {
    const std::lock_guard<std::mutex> lock(kernels().mutex);
    for (const std::uint64_t address : executable.kernels) kernels().by_descriptor.erase(address);
  }
  for (const auto& [base, size] : executable.areas) munmap(base, size);
}

const LoadedKernel* kernel_at(std::uint64_t kernel_object) {
  const std::lock_guard<std::mutex> lock(kernels().mutex);
  const auto found = kernels().by_descriptor.find(kernel_object);
  return found == kernels().by_descriptor.end() ? nullptr : found->second.get();
}

}  // namespace emulation
