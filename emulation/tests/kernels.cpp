// The kernels of the tests, as a HIP program would have them.
extern "C" __global__ void add(int* place, int value) { atomicAdd(place, value); }

// The order in which dispatches run.
extern "C" __global__ void append(int* list, int* count, int value) { list[atomicAdd(count, 1)] = value; }

// Polls until another kernel or the host writes.
extern "C" __global__ void await(int* flag) {
  while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) == 0) SPIN_PAUSE();
}

struct Pair {
  int number;
  int* place;
};
extern "C" __global__ void write_pair(Pair pair) { *pair.place = pair.number; }

// A static array: each block reverses its part.
extern "C" __global__ void reverse(int* data) {
  __shared__ int tile[256];
  const unsigned at = blockIdx.x * blockDim.x + threadIdx.x;
  tile[threadIdx.x] = data[at];
  __syncthreads();
  data[at] = tile[blockDim.x - 1 - threadIdx.x];
}

// A dynamic array, and barriers in a loop.
extern "C" __global__ void __launch_bounds__(256) sum(const int* in, int* out) {
  extern __shared__ int part[];
  part[threadIdx.x] = in[blockIdx.x * blockDim.x + threadIdx.x];
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) atomicAdd(out, part[0]);
}

extern "C" __global__ void some_leave(int* place) {
  if (threadIdx.x > 3) return;
  __syncthreads();
  *place = 1;
}
