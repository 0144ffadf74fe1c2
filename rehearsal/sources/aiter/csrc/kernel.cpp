// A stand-in for an AITER kernel: it names the GPU that it was compiled for.
extern "C" const char *aiter_kernel_target() { return STAND_IN_TARGET; }
