#include "issue.h"

#include <cstdio>
#include <cstring>

#include "graph_view.h"
#include "model.h"

namespace replay_fuzz {
namespace {

void describe(const Operation& operation, std::size_t number) {
  std::printf("  operation %zu kind %d stream %d: %d(%d, %d) waits for", number, operation.kind,
              operation.stream, operation.target, operation.source, operation.second);
  for (const int wait : operation.waits) std::printf(" %d", wait);
  std::printf("%s\n", operation.recorded ? ", recorded" : "");
}

void copy(void* to, const void* from, u32 words, CopyKind kind, Handle stream) {
  hip("hipMemcpyAsync", to, from, words * sizeof(u32), int{kind}, stream);
}

CopyKind copy_kind(const Buffer& to, const Buffer& from) {
  if (!to.on_the_device) return kDeviceToHost;
  return from.on_the_device ? kDeviceToDevice : kHostToDevice;
}

}  // namespace

Arguments::Arguments(const Operation& operation, const Memory& memory)
    : y(memory.buffers[operation.target].at),
      x(memory.buffers[operation.source].at),
      z(memory.buffers[operation.second].at),
      count(operation.count),
      word(operation.word) {
  for (u32 i = 0; i < block_size(operation.kind); ++i) block[i] = block_word(word, i);
  void* const of_kind[kKernels][5] = {
      {&y},                     // f_const
      {&y, &x, &count, &word},  // f_map
      {&y, &count, &word},      // f_inplace
      {&y, &x, &z, &count, &word},
      {&y, &x, block, &count},
      {&y, &x, block, &count},
      {&y, &x, block, &count},
  };
  std::memcpy(list, of_kind[operation.kind], sizeof list);
}

Arguments::~Arguments() {
  y = x = z = nullptr;
  count = word = 0xEEEEEEEE;
  std::memset(block, 0xEE, sizeof block);
  // The compiler may not leave out stores that nothing reads.
  asm volatile("" : : "r"(this) : "memory");
}

void issue(const Operation& operation, const Memory& memory, const Device& device, Handle stream) {
  const Buffer &to = memory.buffers[operation.target], &from = memory.buffers[operation.source];
  switch (operation.kind) {
    case kCopy: return copy(to.at, from.at, operation.count, copy_kind(to, from), stream);
    case kCopyPageable:
      return copy(to.at, memory.pageable.data() + operation.word, operation.count, kHostToDevice, stream);
    case kSet8:
      return hip("hipMemsetAsync", static_cast<void*>(to.at), static_cast<int>(operation.word & 255),
                 operation.count * sizeof(u32), stream);
    case kSet32:
      return hip("hipMemsetD32Async", static_cast<void*>(to.at), static_cast<int>(operation.word),
                 std::size_t{operation.count}, stream);
    default: break;
  }
  Arguments given(operation, memory);
  launch(device.functions[operation.kind], operation.blocks, operation.threads, stream, given.list);
}

Issued issue(const Program& program, const Memory& memory, const Device& device, const Options& options,
             Handle first, bool capturing) {
  Issued issued;
  issued.nodes.resize(program.operations.size());
  std::vector<Handle> streams(program.streams, first), event(program.operations.size());
  const auto record_one = [&](Handle stream) {
    issued.events.push_back(new_event());
    record(issued.events.back(), stream);
    return issued.events.back();
  };
  const auto fork = [&] {
    if (program.streams < 2) return;
    const Handle forked = record_one(first);
    for (int s = 1; s < program.streams; ++s) {
      streams[s] = device.sides[s - 1];
      wait(streams[s], forked);
    }
  };
  if (!options.one_root) fork();
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    if (i == 1 && options.one_root) fork();
    const Operation& operation = program.operations[i];
    for (const int other : operation.waits) wait(streams[operation.stream], event[other]);
    issue(operation, memory, device, streams[operation.stream]);
    if (capturing && operation.is_kernel()) issued.nodes[i] = last_captured_node(streams[operation.stream]);
    if (options.talk) describe(operation, i);
    if (operation.recorded) event[i] = record_one(streams[operation.stream]);
  }
  for (int s = 1; s < program.streams; ++s) wait(first, record_one(streams[s]));
  if (options.destroy_early) {
    for (const Handle made : issued.events) hip("hipEventDestroy", made);
    issued.events.clear();
  }
  return issued;
}

}  // namespace replay_fuzz
