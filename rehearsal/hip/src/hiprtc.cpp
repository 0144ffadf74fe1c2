// The stand-in's hiprtc: a kernel source becomes a host shared object, which is "the code".
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "compiler.h"
#include "hiprtc_api.h"
#include "kernel_entry.h"
#include "kernel_scan.h"

struct _hiprtcProgram {
  std::string source;
  std::string name;
  std::string code;
  std::string log;
};

namespace {

using namespace standin;

constexpr const char* kPrelude =
#include "kernel_prelude.inc"
    ;

std::string default_arch() {
  const char* const given = std::getenv("HIP_STANDIN_GFX");
  return given ? given : "gfx942";
}

struct Options {
  std::string arch = default_arch();
  std::vector<std::string> passed_on;
  std::string unknown;
};

bool take_value(const std::string& option, const std::string& prefix, std::string& value) {
  if (option.compare(0, prefix.size(), prefix) != 0) return false;
  value = option.substr(prefix.size());
  return true;
}

// -D, -U and the arch mean something here; -O, -std and -f choose among device compilers only.
Options read_options(int count, const char** given) {
  Options options;
  for (int i = 0; i < count; ++i) {
    const std::string option = given[i] ? given[i] : "";
    const std::string start = option.substr(0, 2);
    if (take_value(option, "--offload-arch=", options.arch) ||
        take_value(option, "--gpu-architecture=", options.arch)) {
      continue;
    }
    if (start == "-D" || start == "-U") {
      options.passed_on.push_back(option);
    } else if (start != "-O" && start != "-f" && start != "-m" && start != "-W" &&
               option.compare(0, 5, "-std=") != 0 && option.compare(0, 6, "--std=") != 0) {
      options.unknown = option;
    }
  }
  return options;
}

bool is_arch(const std::string& arch) {
  return arch.compare(0, 3, "gfx") == 0 &&
         arch.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789:+-", 3) == std::string::npos;
}

std::string translation_unit(const _hiprtcProgram& program, const std::string& arch) {
  const std::string exported = "extern \"C\" __attribute__((visibility(\"default\"))) const ";
  std::string text = kPrelude;
  text += "#line 1 \"" + program.name + "\"\n" + program.source + "\n";
  text += exported + "char " + kArchSymbol + "[] = \"" + arch + "\";\n";
  for (const auto& name : kernel_names(program.source)) {
    text += exported + "hip_standin::Entry " + kEntryPrefix + name +
            " = hip_standin::Kernel<" + name + ">::entry;\n";
  }
  return text;
}

template <class Body>
hiprtcResult call(Body body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return HIPRTC_ERROR_OUT_OF_MEMORY;
  } catch (...) {
    return HIPRTC_ERROR_INTERNAL_ERROR;
  }
}

}  // namespace

extern "C" {

const char* hiprtcGetErrorString(hiprtcResult result) {
  switch (result) {
    case HIPRTC_SUCCESS: return "HIPRTC_SUCCESS";
    case HIPRTC_ERROR_OUT_OF_MEMORY: return "HIPRTC_ERROR_OUT_OF_MEMORY";
    case HIPRTC_ERROR_PROGRAM_CREATION_FAILURE: return "HIPRTC_ERROR_PROGRAM_CREATION_FAILURE";
    case HIPRTC_ERROR_INVALID_INPUT: return "HIPRTC_ERROR_INVALID_INPUT";
    case HIPRTC_ERROR_INVALID_PROGRAM: return "HIPRTC_ERROR_INVALID_PROGRAM";
    case HIPRTC_ERROR_INVALID_OPTION: return "HIPRTC_ERROR_INVALID_OPTION";
    case HIPRTC_ERROR_COMPILATION: return "HIPRTC_ERROR_COMPILATION";
    case HIPRTC_ERROR_INTERNAL_ERROR: break;
  }
  return "HIPRTC_ERROR_INTERNAL_ERROR";
}

hiprtcResult hiprtcCreateProgram(hiprtcProgram* program, const char* source, const char* name,
                                 int header_count, const char**, const char**) {
  return call([&] {
    if (!program || !source) return HIPRTC_ERROR_INVALID_INPUT;
    if (header_count != 0) return HIPRTC_ERROR_PROGRAM_CREATION_FAILURE;
    *program = new _hiprtcProgram{source, name && *name ? name : "CompileSource", {}, {}};
    return HIPRTC_SUCCESS;
  });
}

hiprtcResult hiprtcDestroyProgram(hiprtcProgram* program) {
  if (!program) return HIPRTC_ERROR_INVALID_INPUT;
  delete *program;
  *program = nullptr;
  return HIPRTC_SUCCESS;
}

hiprtcResult hiprtcCompileProgram(hiprtcProgram program, int count, const char** given) {
  return call([&] {
    if (!program) return HIPRTC_ERROR_INVALID_PROGRAM;
    const Options options = read_options(count, given);
    if (!options.unknown.empty() || !is_arch(options.arch)) {
      program->log = options.unknown.empty() ? "unknown target '" + options.arch + "'\n"
                                             : "unknown option '" + options.unknown + "'\n";
      return HIPRTC_ERROR_INVALID_OPTION;
    }
    Compiled made = compile(translation_unit(*program, options.arch), options.passed_on);
    program->code = std::move(made.code);
    program->log = std::move(made.log);
    return made.ok ? HIPRTC_SUCCESS : HIPRTC_ERROR_COMPILATION;
  });
}

hiprtcResult hiprtcGetProgramLogSize(hiprtcProgram program, size_t* size) {
  if (!program || !size) return HIPRTC_ERROR_INVALID_INPUT;
  *size = program->log.size() + 1;
  return HIPRTC_SUCCESS;
}

hiprtcResult hiprtcGetProgramLog(hiprtcProgram program, char* log) {
  if (!program || !log) return HIPRTC_ERROR_INVALID_INPUT;
  std::memcpy(log, program->log.c_str(), program->log.size() + 1);
  return HIPRTC_SUCCESS;
}

hiprtcResult hiprtcGetCodeSize(hiprtcProgram program, size_t* size) {
  if (!program || !size) return HIPRTC_ERROR_INVALID_INPUT;
  *size = program->code.size();
  return HIPRTC_SUCCESS;
}

hiprtcResult hiprtcGetCode(hiprtcProgram program, char* code) {
  if (!program || !code || program->code.empty()) return HIPRTC_ERROR_INVALID_INPUT;
  std::memcpy(code, program->code.data(), program->code.size());
  return HIPRTC_SUCCESS;
}
}
