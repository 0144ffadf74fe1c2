// The calls on code objects and executables: load, look up, ask about a symbol.
#include <cstring>

#include "code_object.h"
#include "machine.h"

using namespace emulation;

namespace {

template <class T>
T* object(std::uint64_t handle) {
  return reinterpret_cast<T*>(handle);
}

template <class T>
std::uint64_t handle(T* pointer) {
  return reinterpret_cast<std::uint64_t>(pointer);
}

}  // namespace

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
  unload(*executable);
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
