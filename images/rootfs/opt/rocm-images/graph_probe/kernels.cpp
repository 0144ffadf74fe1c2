// The probe's kernels: one decode step of a tiny transformer, its all-reduce, a counter, and the nodes
// of the replay cases.
//
// One source for hiprtc, nvrtc and a plain C++ compiler (the HIP stand-in, the emulated GPUs). What all
// share is small: no #include, no shared memory, no __syncthreads, no templates, no double. Every kernel
// but the replay cases' has the signature (const State*, int, int). Kernels talk to each other only from
// launch to launch, and no two threads of one launch write the same word.

typedef unsigned int u32;
typedef unsigned long long u64;

#ifndef SPIN_PAUSE
#define SPIN_PAUSE()
#endif

// What one rank knows, for one batch size. It lives in device memory, so a captured graph reads what
// is there at replay. state.py reads the names and the order of the members from this text: each is
// eight bytes, one to a line.
struct State {
  // Weights, in the order of model.WEIGHTS: k_weights is told one by its place in this list.
  float* embedding;   // [vocabulary][hidden]
  float* positional;  // [positions][hidden]
  float* head;        // [vocabulary][hidden], not tied to the embedding: tied, few tokens differ
  float* wq;          // [layers][hidden][hidden]
  float* wk;          // [layers][hidden][hidden]
  float* wv;          // [layers][hidden][hidden]
  float* wo;          // [layers][hidden][hidden]
  float* w1;          // [layers][hidden][ffn]
  float* w2;          // [layers][ffn][hidden]
  // Activations of one step.
  float* x;           // [batch][hidden], the residual stream, the same on every rank
  float* query;       // [batch][hidden], own heads only
  float* attended;    // [batch][hidden], own heads only
  float* inner;       // [batch][ffn], own columns only
  float* logits;      // [batch][vocabulary]
  // What lasts from step to step.
  float* keys;        // [layers][batch_capacity][positions][hidden]
  float* values;      // [layers][batch_capacity][positions][hidden]
  int* token;         // [batch]
  int* position;      // [1]
  int* output;        // [batch][positions]
  // The all-reduce. A block is a counter, one flag for each rank, and two buffers of partial sums.
  u32* block;         // this rank's block
  const u64* blocks;  // [ranks], the address of every rank's block
  int* timeout;       // [2]: 1 + the rank waited for in vain, and the all-reduce's number
  u64 data_offset;    // bytes from a block's start to its first buffer
  u64 max_polls;
  // Sizes and shares.
  u64 rank;
  u64 ranks;
  u64 batch;
  u64 batch_capacity;
  u64 positions;
  u64 hidden;
  u64 head_size;
  u64 ffn;
  u64 vocabulary;
  u64 first_column;   // of the heads' columns of this rank
  u64 end_column;
  u64 first_inner;    // of the feed-forward columns of this rank
  u64 end_inner;
};

#define FLAG_WORD(rank) (64 + (rank) * 32)  // 128 bytes apart: one cache line a rank

__device__ int thread_index() { return (int)(blockIdx.x * blockDim.x + threadIdx.x); }

// In [-1, 1), exact in float32; reference.py computes the same.
__device__ float noise(u32 index, u32 seed) {
  u32 h = index * 2654435761u + seed * 2246822519u + 3266489917u;
  h ^= h >> 16;
  h *= 0x7feb352du;
  h ^= h >> 15;
  h *= 0x846ca68bu;
  h ^= h >> 16;
  return (float)(h >> 8) * (1.0f / 8388608.0f) - 1.0f;
}

// which: place in the list of weights, also the seed; count: elements
extern "C" __global__ void k_weights(const State* s, int which, int count) {
  int i = thread_index();
  if (i >= count) return;
  float* weights = ((float* const*)s)[which];
  weights[i] = noise((u32)i, (u32)which) * (which < 3 ? 1.0f : 0.2f);
}

extern "C" __global__ void k_embed(const State* s, int, int) {
  int i = thread_index(), hidden = (int)s->hidden;
  if (i >= (int)s->batch * hidden) return;
  int row = i / hidden, d = i % hidden;
  s->x[i] = s->embedding[s->token[row] * hidden + d] + s->positional[s->position[0] * hidden + d];
}

__device__ float inverse_rms(const float* x, int n) {
  float sum = 0.0f;
  for (int i = 0; i < n; ++i) sum += x[i] * x[i];
  return 1.0f / sqrtf(sum / (float)n + 1e-5f);
}

// Queries, keys and values of this rank's heads; keys and values go to the cache at the position
// that the device holds.
extern "C" __global__ void k_project(const State* s, int layer, int) {
  int width = (int)(s->end_column - s->first_column), hidden = (int)s->hidden, i = thread_index();
  if (i >= (int)s->batch * 3 * width) return;
  int row = i / (3 * width), which = i % (3 * width) / width;
  int column = (int)s->first_column + i % width;
  const float* x = s->x + row * hidden;
  const float* w = (which == 0 ? s->wq : which == 1 ? s->wk : s->wv) + layer * hidden * hidden;
  float scale = inverse_rms(x, hidden), sum = 0.0f;
  for (int k = 0; k < hidden; ++k) sum += x[k] * scale * w[k * hidden + column];
  if (which == 0) {
    s->query[row * hidden + column] = sum;
  } else {
    int slot = (layer * (int)s->batch_capacity + row) * (int)s->positions + s->position[0];
    (which == 1 ? s->keys : s->values)[slot * hidden + column] = sum;
  }
}

__device__ float score(const float* query, const float* key, int size) {
  float sum = 0.0f;
  for (int k = 0; k < size; ++k) sum += query[k] * key[k];
  return sum / sqrtf((float)size);
}

extern "C" __global__ void k_attend(const State* s, int layer, int) {
  int width = (int)(s->end_column - s->first_column), hidden = (int)s->hidden, i = thread_index();
  if (i >= (int)s->batch * width) return;
  int row = i / width, column = (int)s->first_column + i % width, size = (int)s->head_size;
  int start = column / size * size, last = s->position[0];
  int sequence = (layer * (int)s->batch_capacity + row) * (int)s->positions * hidden;
  const float* query = s->query + row * hidden + start;
  const float* keys = s->keys + sequence + start;
  const float* values = s->values + sequence + column;
  float top = -1e30f, weight = 0.0f, sum = 0.0f;
  for (int p = 0; p <= last; ++p) {
    float value = score(query, keys + p * hidden, size);
    if (value > top) top = value;
  }
  for (int p = 0; p <= last; ++p) {
    float e = expf(score(query, keys + p * hidden, size) - top);
    weight += e;
    sum += e * values[p * hidden];
  }
  s->attended[row * hidden + column] = sum / weight;
}

// Two buffers by the parity of the all-reduce's number: a rank that writes number n + 2 has passed
// the barrier of n + 1, so every peer has read n. The number is on the device: a replay advances it.
__device__ volatile float* partial_sums(const State* s, u64 block, u32 number) {
  u64 bytes = s->batch_capacity * s->hidden * 4ull;
  return (volatile float*)(block + s->data_offset + (u64)(number & 1u) * bytes);
}

__device__ u32 next_number(const State* s) { return s->block[0] + 1u; }

// This rank's share of the attention's output projection, written for the all-reduce.
extern "C" __global__ void k_merge_heads(const State* s, int layer, int) {
  int i = thread_index(), hidden = (int)s->hidden;
  if (i >= (int)s->batch * hidden) return;
  const float* input = s->attended + i / hidden * hidden;
  const float* w = s->wo + layer * hidden * hidden + i % hidden;
  float sum = 0.0f;
  for (int k = (int)s->first_column; k < (int)s->end_column; ++k) sum += input[k] * w[k * hidden];
  partial_sums(s, (u64)s->block, next_number(s))[i] = sum;
}

extern "C" __global__ void k_expand(const State* s, int layer, int) {
  int width = (int)(s->end_inner - s->first_inner), i = thread_index();
  if (i >= (int)s->batch * width) return;
  int row = i / width, column = (int)s->first_inner + i % width;
  int hidden = (int)s->hidden, ffn = (int)s->ffn;
  const float* x = s->x + row * hidden;
  const float* w = s->w1 + layer * hidden * ffn + column;
  float scale = inverse_rms(x, hidden), sum = 0.0f;
  for (int k = 0; k < hidden; ++k) sum += x[k] * scale * w[k * ffn];
  s->inner[row * ffn + column] = sum / (1.0f + expf(-sum));
}

// This rank's share of the feed-forward output, written for the all-reduce.
extern "C" __global__ void k_contract(const State* s, int layer, int) {
  int i = thread_index(), hidden = (int)s->hidden, ffn = (int)s->ffn;
  if (i >= (int)s->batch * hidden) return;
  const float* input = s->inner + i / hidden * ffn;
  const float* w = s->w2 + layer * ffn * hidden + i % hidden;
  float sum = 0.0f;
  for (int k = (int)s->first_inner; k < (int)s->end_inner; ++k) sum += input[k] * w[k * hidden];
  partial_sums(s, (u64)s->block, next_number(s))[i] = sum;
}

// One thread. Tells every peer that this rank's partial sums are written, then waits, for a bounded
// number of polls of its own memory, until every peer has told it the same. A rank that gave up once
// never waits again, so a missing peer costs one wait and not one a launch.
extern "C" __global__ void k_barrier(const State* s, int, int) {
  if (thread_index() != 0) return;
  u32 number = next_number(s);
  volatile u32* own = (volatile u32*)s->block;
  volatile int* timeout = (volatile int*)s->timeout;
  __threadfence_system();
  for (u64 peer = 0; peer < s->ranks; ++peer)
    ((volatile u32*)s->blocks[peer])[FLAG_WORD(s->rank)] = number;
  for (u64 peer = 0; peer < s->ranks; ++peer) {
    u64 polls = timeout[0] ? 0ull : s->max_polls;
    while ((int)(own[FLAG_WORD(peer)] - number) < 0) {
      if (polls == 0ull) {
        if (!timeout[0]) {
          timeout[1] = (int)number;
          timeout[0] = 1 + (int)peer;
        }
        break;
      }
      --polls;
      SPIN_PAUSE();
    }
  }
  __threadfence_system();
  own[0] = number;
}

// In the order of the ranks, so that every rank gets the same bits.
extern "C" __global__ void k_reduce(const State* s, int, int) {
  int i = thread_index();
  if (i >= (int)(s->batch * s->hidden)) return;
  u32 number = ((volatile u32*)s->block)[0];
  float sum = 0.0f;
  for (u64 peer = 0; peer < s->ranks; ++peer) sum += partial_sums(s, s->blocks[peer], number)[i];
  s->x[i] += sum;
}

extern "C" __global__ void k_logits(const State* s, int, int) {
  int i = thread_index(), hidden = (int)s->hidden, vocabulary = (int)s->vocabulary;
  if (i >= (int)s->batch * vocabulary) return;
  const float* x = s->x + i / vocabulary * hidden;
  const float* w = s->head + i % vocabulary * hidden;
  float scale = inverse_rms(x, hidden), sum = 0.0f;
  for (int k = 0; k < hidden; ++k) sum += x[k] * scale * w[k];
  s->logits[i] = sum;
}

extern "C" __global__ void k_sample(const State* s, int, int) {
  int row = thread_index(), vocabulary = (int)s->vocabulary;
  if (row >= (int)s->batch) return;
  const float* logits = s->logits + row * vocabulary;
  int best = 0;
  for (int v = 1; v < vocabulary; ++v)
    if (logits[v] > logits[best]) best = v;
  s->token[row] = best;
  s->output[row * (int)s->positions + s->position[0]] = best;
}

extern "C" __global__ void k_advance(const State* s, int, int) {
  if (thread_index() == 0 && s->position[0] + 1 < (int)s->positions) s->position[0] += 1;
}

// For the capture cases: counts what a graph really holds.
extern "C" __global__ void k_count(const State* s, int amount, int) {
  if (thread_index() == 0) s->position[0] += amount;
}

// For the replay cases, whose kernels take what they work on as arguments of their own: those lie where
// the runtime keeps them, which is a part of what a replay can get wrong. replay_model.py computes the
// same.
__device__ u32 mixed(u32 x, u32 by) {
  x ^= by;
  x *= 0x9e3779b1u;
  x ^= x >> 15;
  x *= 0x85ebca77u;
  x ^= x >> 13;
  return x;
}

// In place where both are the same.
extern "C" __global__ void k_mix(u32* to, const u32* from, int count, u32 by) {
  int i = thread_index();
  if (i < count) to[i] = mixed(from[i], by + (u32)i);
}

extern "C" __global__ void k_mix_two(u32* to, const u32* first, const u32* second, int count) {
  int i = thread_index();
  if (i < count) to[i] = mixed(first[i], second[i]);
}

// Takes a while: each round waits for the one before.
extern "C" __global__ void k_work(u32* to, int count, int rounds) {
  int i = thread_index();
  if (i >= count) return;
  u32 made = 1u;
  for (int round = 0; round < rounds; ++round) made = mixed(made, (u32)round);
  to[i] = mixed(to[i], made);
}

struct Words {
  u32 word[1000];
};

// Nearly as many bytes of arguments as a kernel can have.
extern "C" __global__ void k_mix_words(u32* to, const u32* from, Words words, int count) {
  int i = thread_index();
  if (i < count) to[i] = mixed(from[i], words.word[i % 1000]);
}
