// The part of hiprtc's C interface that the stand-in implements, as in ROCm 7's hiprtc.h.
#pragma once

#include <cstddef>

enum hiprtcResult : int {
  HIPRTC_SUCCESS = 0,
  HIPRTC_ERROR_OUT_OF_MEMORY = 1,
  HIPRTC_ERROR_PROGRAM_CREATION_FAILURE = 2,
  HIPRTC_ERROR_INVALID_INPUT = 3,
  HIPRTC_ERROR_INVALID_PROGRAM = 4,
  HIPRTC_ERROR_INVALID_OPTION = 5,
  HIPRTC_ERROR_COMPILATION = 6,
  HIPRTC_ERROR_INTERNAL_ERROR = 11,
};

using hiprtcProgram = struct _hiprtcProgram*;

#define HIP_STANDIN_API __attribute__((visibility("default")))

extern "C" {
HIP_STANDIN_API const char* hiprtcGetErrorString(hiprtcResult result);
HIP_STANDIN_API hiprtcResult hiprtcCreateProgram(hiprtcProgram* program, const char* source,
                                                 const char* name, int header_count,
                                                 const char** headers, const char** header_names);
HIP_STANDIN_API hiprtcResult hiprtcDestroyProgram(hiprtcProgram* program);
HIP_STANDIN_API hiprtcResult hiprtcCompileProgram(hiprtcProgram program, int option_count,
                                                  const char** options);
HIP_STANDIN_API hiprtcResult hiprtcGetProgramLogSize(hiprtcProgram program, size_t* size);
HIP_STANDIN_API hiprtcResult hiprtcGetProgramLog(hiprtcProgram program, char* log);
HIP_STANDIN_API hiprtcResult hiprtcGetCodeSize(hiprtcProgram program, size_t* size);
HIP_STANDIN_API hiprtcResult hiprtcGetCode(hiprtcProgram program, char* code);
}
