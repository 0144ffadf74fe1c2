// A code object as an AMDGPU compiler makes it, without code: an ELF file with the descriptors of kernels,
// their symbols, and the metadata of their arguments (AMDGPUUsage, "Code Object V3" and later).
#pragma once

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

struct KernelArgument {
  unsigned offset, bytes;
  const char* kind;  // "global_buffer", "by_value", "hidden_..."
};

struct KernelSource {
  std::string name;
  std::vector<KernelArgument> arguments;
};

namespace msgpack {

inline std::string text(const std::string& value) {
  return "\xd9" + std::string(1, static_cast<char>(value.size())) + value;
}
inline std::string number(unsigned value) {
  return "\xcd" + std::string(1, static_cast<char>(value >> 8)) + std::string(1, static_cast<char>(value));
}
inline std::string head(unsigned char kind, std::size_t count) {
  return std::string(1, static_cast<char>(kind | count));
}
inline std::string map(std::size_t count) { return head(0x80, count); }
inline std::string list(std::size_t count) { return head(0x90, count); }

}  // namespace msgpack

inline std::string metadata_of(const std::vector<KernelSource>& kernels) {
  using namespace msgpack;
  std::string made = map(1) + text("amdhsa.kernels") + list(kernels.size());
  for (const KernelSource& kernel : kernels) {
    made +=
        map(2) + text(".symbol") + text(kernel.name + ".kd") + text(".args") + list(kernel.arguments.size());
    for (const KernelArgument& argument : kernel.arguments) {
      made += map(3) + text(".offset") + number(argument.offset) + text(".size") + number(argument.bytes) +
              text(".value_kind") + text(argument.kind);
    }
  }
  return made;
}

// The whole file is one segment at address 0.
inline std::vector<char> code_object_of(const std::vector<KernelSource>& kernels) {
  std::vector<char> file(sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr));
  const auto add = [&file](const void* bytes, std::size_t size) {
    file.resize((file.size() + 63) / 64 * 64);
    const std::size_t at = file.size();
    file.resize(at + size);
    std::memcpy(file.data() + at, bytes, size);
    return at;
  };
  const std::string metadata = metadata_of(kernels);
  const Elf64_Nhdr note = {7, static_cast<Elf64_Word>(metadata.size()), 32};
  const std::string content = std::string(reinterpret_cast<const char*>(&note), sizeof note) +
                              std::string("AMDGPU\0\0", 8) + metadata + std::string(3, '\0');
  const std::size_t note_at = add(content.data(), content.size());
  std::string names(1, '\0');
  std::vector<Elf64_Sym> symbols(1);
  for (const KernelSource& kernel : kernels) {
    const std::uint32_t descriptor[16] = {0, 0, 64};  // 64 bytes of arguments
    Elf64_Sym symbol = {};
    symbol.st_name = static_cast<Elf64_Word>(names.size());
    symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
    symbol.st_shndx = 1;
    symbol.st_size = sizeof descriptor;
    symbol.st_value = add(descriptor, sizeof descriptor);
    symbols.push_back(symbol);
    names += kernel.name + ".kd" + std::string(1, '\0');
  }
  const std::size_t names_at = add(names.data(), names.size());
  const std::size_t symbols_at = add(symbols.data(), symbols.size() * sizeof(Elf64_Sym));
  Elf64_Shdr sections[3] = {};
  sections[1].sh_type = SHT_DYNSYM;
  sections[1].sh_offset = symbols_at;
  sections[1].sh_size = symbols.size() * sizeof(Elf64_Sym);
  sections[1].sh_link = 2;
  sections[2].sh_type = SHT_STRTAB;
  sections[2].sh_offset = names_at;
  const std::size_t sections_at = add(sections, sizeof sections);
  Elf64_Phdr segments[2] = {};
  segments[0].p_type = PT_LOAD;
  segments[0].p_filesz = segments[0].p_memsz = file.size();
  segments[1].p_type = PT_NOTE;
  segments[1].p_offset = note_at;
  segments[1].p_filesz = content.size();
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_machine = 224;
  header.e_phoff = sizeof header;
  header.e_phnum = 2;
  header.e_shoff = sections_at;
  header.e_shnum = 3;
  std::memcpy(file.data(), &header, sizeof header);
  std::memcpy(file.data() + sizeof header, segments, sizeof segments);
  return file;
}
