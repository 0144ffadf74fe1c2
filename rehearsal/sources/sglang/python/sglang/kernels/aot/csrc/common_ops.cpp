// A stand-in for sgl-kernel's compiled operators: it names the GPU that it was compiled for.
extern "C" const char *sgl_kernel_target() { return STAND_IN_TARGET; }
