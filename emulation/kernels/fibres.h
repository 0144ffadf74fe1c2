// __syncthreads on one thread: a work-item that reaches it is put aside, and goes on when the others are
// there.
//
// A fibre runs work-items one after the other for as long as none waits, so a block without a barrier costs
// one fibre. Where an item waits, the next fibre takes the items behind it.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "launch.h"

namespace emulation {

constexpr size_t kStackBytes = 128 << 10;
constexpr size_t kGuardBytes = 4096;
constexpr unsigned kMostItems = 1024;  // of a block, on every AMD GPU

struct Fibre {
  ucontext_t context;
  Three item;  // where it waits
};

// What one thread runs. Fibres keep their stacks for the blocks to come.
struct Block {
  ucontext_t scheduler;
  Fibre* fibres[kMostItems];
  unsigned made;
  Fibre* running;
  bool waits;  // the running fibre gave up its turn at the barrier, not at its end
  const Launch* launch;
  void (*run)(const Launch&);
  Three size;
  Three* index;  // threadIdx
  unsigned next, items;
};

static __thread Block* of_this_thread;

[[noreturn]] inline void give_up(const Launch& launch, const char* what, unsigned some, unsigned all) {
  fprintf(stderr, "emulation: kernel %s: %s (%u of %u work-items)\n", launch.name, what, some, all);
  abort();
}

// What every fibre runs, again and again: the items that nobody has begun.
inline void work() {
  for (;;) {
    Block& block = *of_this_thread;
    while (block.next < block.items) {
      const unsigned item = block.next++;
      *block.index = {item % block.size.x, item / block.size.x % block.size.y,
                      item / block.size.x / block.size.y};
      block.run(*block.launch);
    }
    block.waits = false;
    swapcontext(&block.running->context, &block.scheduler);
  }
}

inline void wait_at_barrier() {
  Block& block = *of_this_thread;
  block.running->item = *block.index;
  block.waits = true;
  swapcontext(&block.running->context, &block.scheduler);
}

inline Fibre* make_fibre(const Launch& launch) {
  const size_t bytes = kGuardBytes + kStackBytes;
  void* const stack =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  auto* const fibre = static_cast<Fibre*>(calloc(1, sizeof(Fibre)));
  if (stack == MAP_FAILED || !fibre || mprotect(stack, kGuardBytes, PROT_NONE) != 0) {
    give_up(launch, "no memory for the work-items that wait at __syncthreads", 0, 1);
  }
  getcontext(&fibre->context);
  fibre->context.uc_stack.ss_sp = static_cast<char*>(stack) + kGuardBytes;
  fibre->context.uc_stack.ss_size = kStackBytes;
  fibre->context.uc_link = nullptr;
  makecontext(&fibre->context, work, 0);
  return fibre;
}

// True where it came back because an item waits.
inline bool resume(Block& block, Fibre* fibre) {
  block.running = fibre;
  swapcontext(&block.scheduler, &fibre->context);
  return block.waits;
}

inline void run_block(const Launch& launch, Three size, void (*run)(const Launch&), Three* index) {
  if (!of_this_thread) of_this_thread = static_cast<Block*>(calloc(1, sizeof(Block)));
  Block& block = *of_this_thread;
  block.launch = &launch;
  block.run = run;
  block.size = size;
  block.index = index;
  block.next = 0;
  block.items = size.x * size.y * size.z;
  if (block.items > kMostItems) give_up(launch, "a block is larger than 1024", block.items, block.items);
  unsigned waiting = 0;
  while (block.next < block.items) {
    if (waiting == block.made) block.fibres[block.made++] = make_fibre(launch);
    if (resume(block, block.fibres[waiting])) ++waiting;
  }
  while (waiting > 0) {
    if (waiting < block.items) {
      give_up(launch, "some work-items of a block ended while the others wait at __syncthreads", waiting,
              block.items);
    }
    unsigned again = 0;
    for (unsigned i = 0; i < block.items; ++i) {
      *index = block.fibres[i]->item;
      again += resume(block, block.fibres[i]);
    }
    waiting = again;
  }
}

}  // namespace emulation
