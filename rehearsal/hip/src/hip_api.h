// The part of the HIP runtime's C interface that the stand-in implements.
// Names, values and argument order are those of hip_runtime_api.h in ROCm 7; no more is promised.
#pragma once

#include <cstddef>

enum hipError_t : int {
  hipSuccess = 0,
  hipErrorInvalidValue = 1,
  hipErrorOutOfMemory = 2,
  hipErrorInvalidMemcpyDirection = 21,
  hipErrorNoDevice = 100,
  hipErrorInvalidDevice = 101,
  hipErrorInvalidImage = 200,
  hipErrorNoBinaryForGpu = 209,
  hipErrorInvalidHandle = 400,
  hipErrorIllegalState = 401,
  hipErrorNotFound = 500,
  hipErrorNotReady = 600,
  hipErrorPeerAccessAlreadyEnabled = 704,
  hipErrorNotSupported = 801,
  hipErrorStreamCaptureUnsupported = 900,
  hipErrorStreamCaptureInvalidated = 901,
  hipErrorStreamCaptureMerge = 902,
  hipErrorStreamCaptureUnmatched = 903,
  hipErrorStreamCaptureUnjoined = 904,
  hipErrorStreamCaptureIsolation = 905,
  hipErrorStreamCaptureImplicit = 906,
  hipErrorCapturedEvent = 907,
  hipErrorStreamCaptureWrongThread = 908,
  hipErrorUnknown = 999,
};

enum hipStreamCaptureMode : int {
  hipStreamCaptureModeGlobal = 0,
  hipStreamCaptureModeThreadLocal = 1,
  hipStreamCaptureModeRelaxed = 2,
};

enum hipStreamCaptureStatus : int {
  hipStreamCaptureStatusNone = 0,
  hipStreamCaptureStatusActive = 1,
  hipStreamCaptureStatusInvalidated = 2,
};

enum hipMemcpyKind : int {
  hipMemcpyHostToHost = 0,
  hipMemcpyHostToDevice = 1,
  hipMemcpyDeviceToHost = 2,
  hipMemcpyDeviceToDevice = 3,
  hipMemcpyDefault = 4,
};

constexpr unsigned hipStreamDefault = 0;
constexpr unsigned hipStreamNonBlocking = 1;

// Opaque handles: never dereferenced, only looked up.
using hipStream_t = struct ihipStream_t*;
using hipEvent_t = struct ihipEvent_t*;
using hipGraph_t = struct ihipGraph*;
using hipGraphNode_t = struct hipGraphNode*;
using hipGraphExec_t = struct hipGraphExec*;
using hipModule_t = struct ihipModule_t*;
using hipFunction_t = struct ihipModuleSymbol_t*;

#define HIP_STANDIN_API __attribute__((visibility("default")))

extern "C" {
HIP_STANDIN_API hipError_t hipInit(unsigned flags);
HIP_STANDIN_API hipError_t hipRuntimeGetVersion(int* version);
HIP_STANDIN_API hipError_t hipDriverGetVersion(int* version);
HIP_STANDIN_API hipError_t hipGetLastError();
HIP_STANDIN_API const char* hipGetErrorName(hipError_t error);
HIP_STANDIN_API const char* hipGetErrorString(hipError_t error);

HIP_STANDIN_API hipError_t hipGetDeviceCount(int* count);
HIP_STANDIN_API hipError_t hipGetDevice(int* device);
HIP_STANDIN_API hipError_t hipSetDevice(int device);
HIP_STANDIN_API hipError_t hipDeviceGetName(char* name, int size, int device);
HIP_STANDIN_API hipError_t hipGetDevicePropertiesR0600(void* properties, int device);
HIP_STANDIN_API hipError_t hipDeviceCanAccessPeer(int* can, int device, int peer);
HIP_STANDIN_API hipError_t hipDeviceEnablePeerAccess(int peer, unsigned flags);
HIP_STANDIN_API hipError_t hipDeviceSynchronize();

HIP_STANDIN_API hipError_t hipMalloc(void** pointer, size_t size);
HIP_STANDIN_API hipError_t hipExtMallocWithFlags(void** pointer, size_t size, unsigned flags);
HIP_STANDIN_API hipError_t hipHostMalloc(void** pointer, size_t size, unsigned flags);
HIP_STANDIN_API hipError_t hipFree(void* pointer);
HIP_STANDIN_API hipError_t hipHostFree(void* pointer);
HIP_STANDIN_API hipError_t hipMemGetInfo(size_t* available, size_t* total);
HIP_STANDIN_API hipError_t hipIpcGetMemHandle(void* handle, void* pointer);
HIP_STANDIN_API hipError_t hipMemcpy(void* to, const void* from, size_t size, hipMemcpyKind kind);
HIP_STANDIN_API hipError_t hipMemcpyAsync(void* to, const void* from, size_t size,
                                          hipMemcpyKind kind, hipStream_t stream);
HIP_STANDIN_API hipError_t hipMemcpyDtoH(void* to, void* from, size_t size);
HIP_STANDIN_API hipError_t hipMemcpyDtoD(void* to, void* from, size_t size);
HIP_STANDIN_API hipError_t hipMemcpyPeer(void* to, int to_device, const void* from,
                                         int from_device, size_t size);
HIP_STANDIN_API hipError_t hipMemcpy2D(void* to, size_t to_pitch, const void* from,
                                       size_t from_pitch, size_t width, size_t height,
                                       hipMemcpyKind kind);
HIP_STANDIN_API hipError_t hipMemsetD8(void* to, unsigned char value, size_t size);
HIP_STANDIN_API hipError_t hipMemset(void* to, int value, size_t size);
HIP_STANDIN_API hipError_t hipMemsetAsync(void* to, int value, size_t size, hipStream_t stream);

HIP_STANDIN_API hipError_t hipStreamCreateWithFlags(hipStream_t* stream, unsigned flags);
HIP_STANDIN_API hipError_t hipStreamDestroy(hipStream_t stream);
HIP_STANDIN_API hipError_t hipStreamSynchronize(hipStream_t stream);
HIP_STANDIN_API hipError_t hipStreamQuery(hipStream_t stream);
HIP_STANDIN_API hipError_t hipStreamWaitEvent(hipStream_t stream, hipEvent_t event,
                                              unsigned flags);

HIP_STANDIN_API hipError_t hipEventCreateWithFlags(hipEvent_t* event, unsigned flags);
HIP_STANDIN_API hipError_t hipEventDestroy(hipEvent_t event);
HIP_STANDIN_API hipError_t hipEventRecord(hipEvent_t event, hipStream_t stream);
HIP_STANDIN_API hipError_t hipEventQuery(hipEvent_t event);
HIP_STANDIN_API hipError_t hipEventSynchronize(hipEvent_t event);

HIP_STANDIN_API hipError_t hipThreadExchangeStreamCaptureMode(hipStreamCaptureMode* mode);
HIP_STANDIN_API hipError_t hipStreamBeginCapture(hipStream_t stream, hipStreamCaptureMode mode);
HIP_STANDIN_API hipError_t hipStreamEndCapture(hipStream_t stream, hipGraph_t* graph);
HIP_STANDIN_API hipError_t hipStreamIsCapturing(hipStream_t stream, hipStreamCaptureStatus* status);

HIP_STANDIN_API hipError_t hipGraphGetRootNodes(hipGraph_t graph, hipGraphNode_t* nodes,
                                                size_t* count);
HIP_STANDIN_API hipError_t hipGraphInstantiateWithFlags(hipGraphExec_t* executable,
                                                        hipGraph_t graph,
                                                        unsigned long long flags);
HIP_STANDIN_API hipError_t hipGraphUpload(hipGraphExec_t executable, hipStream_t stream);
HIP_STANDIN_API hipError_t hipGraphLaunch(hipGraphExec_t executable, hipStream_t stream);
HIP_STANDIN_API hipError_t hipGraphDestroy(hipGraph_t graph);
HIP_STANDIN_API hipError_t hipGraphExecDestroy(hipGraphExec_t executable);

HIP_STANDIN_API hipError_t hipModuleLoadData(hipModule_t* module, const void* image);
HIP_STANDIN_API hipError_t hipModuleUnload(hipModule_t module);
HIP_STANDIN_API hipError_t hipModuleGetFunction(hipFunction_t* function, hipModule_t module,
                                                const char* name);
HIP_STANDIN_API hipError_t hipModuleLaunchKernel(hipFunction_t function, unsigned grid_x,
                                                 unsigned grid_y, unsigned grid_z,
                                                 unsigned block_x, unsigned block_y,
                                                 unsigned block_z, unsigned shared_bytes,
                                                 hipStream_t stream, void** arguments,
                                                 void** extra);
}
