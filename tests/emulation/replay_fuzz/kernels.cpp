// The fuzzer's kernels, for the GPU (hiprtc) and for the CPU (make -C emulation kernels); model.cpp says the
// same again for the host. No two work-items write the same word.
typedef unsigned int u32;

struct Block64 {
  u32 word[16];
};
struct Block1k {
  u32 word[256];
};
struct Block4k {
  u32 word[1000];
};

static __device__ inline u32 mix(u32 x, u32 by) {
  x ^= by;
  x *= 0x9E3779B1u;
  x ^= x >> 15;
  x *= 0x85EBCA77u;
  x ^= x >> 13;
  return x;
}

#define EACH(i, count)                                                                        \
  for (u32 i = blockIdx.x * blockDim.x + threadIdx.x, step = gridDim.x * blockDim.x; i < (count); \
       i += step)

extern "C" __global__ void f_const(u32* y) {
  EACH(i, 16) y[i] = mix(i, 7);
}
extern "C" __global__ void f_map(u32* y, const u32* x, u32 n, u32 by) {
  EACH(i, n) y[i] = mix(x[i], by + i);
}
extern "C" __global__ void f_inplace(u32* y, u32 n, u32 by) {
  EACH(i, n) y[i] = mix(y[i], by);
}
extern "C" __global__ void f_add(u32* y, const u32* x, const u32* z, u32 n, u32 by) {
  EACH(i, n) y[i] = mix(x[i], by) + z[i];
}
// Arguments of 64 bytes to 4 KiB: they fill the runtime's argument pools.
extern "C" __global__ void f_block64(u32* y, const u32* x, Block64 block, u32 n) {
  EACH(i, n) y[i] = mix(x[i], block.word[i % 16]);
}
extern "C" __global__ void f_block1k(u32* y, const u32* x, Block1k block, u32 n) {
  EACH(i, n) y[i] = mix(x[i], block.word[i % 256]);
}
extern "C" __global__ void f_block4k(u32* y, const u32* x, Block4k block, u32 n) {
  EACH(i, n) y[i] = mix(x[i], block.word[i % 1000]);
}
