#include "machine.h"

#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "settings.h"

namespace emulation {
namespace {

constexpr std::uint64_t kGiB = 1ull << 30;

void add_pool(Agent& agent, PoolKind kind, std::uint64_t bytes) {
  agent.pools.push_back(std::make_unique<Pool>(Pool{&agent, kind, bytes}));
}

// The indexes that ROCR_VISIBLE_DEVICES leaves, in its order; all of them where it is not set.
std::vector<unsigned> visible(unsigned count) {
  std::vector<unsigned> found;
  const char* const given = std::getenv("ROCR_VISIBLE_DEVICES");
  if (!given) {
    for (unsigned i = 0; i < count; ++i) found.push_back(i);
    return found;
  }
  for (const std::string& word : split(given, ',')) {
    const auto index = decimal(word, UINT32_MAX);
    if (!index || *index >= count) break;
    found.push_back(static_cast<unsigned>(*index));
  }
  return found;
}

// The features that a code object of the architecture is compiled for, as AMD's runtime names its ISA
// (AMDGPUUsage, "Target ID"). CDNA has ECC of its SRAM; the others have neither feature.
std::string features(const std::string& gfx) {
  for (const char* const cdna : {"gfx906", "gfx908", "gfx90a", "gfx942", "gfx950"}) {
    if (gfx == cdna) return ":sramecc+:xnack-";
  }
  return "";
}

Machine* build() {
  auto* const made = new Machine;  // never destroyed: the runtime's threads outlive main()
  const Settings& given = settings();
  made->gfx = given.gfx;
  made->isa = "amdgcn-amd-amdhsa--" + made->gfx + features(made->gfx);
  made->product = given.name;
  made->vram_bytes = given.memory_gib * kGiB;
  made->cpu.gpu = false;
  made->cpu.node = made->cpu.index = 0;
  add_pool(made->cpu, PoolKind::kFine, 64 * kGiB);
  add_pool(made->cpu, PoolKind::kExtendedFine, 64 * kGiB);
  add_pool(made->cpu, PoolKind::kFineKernarg, 64 * kGiB);
  add_pool(made->cpu, PoolKind::kCoarse, 64 * kGiB);
  for (const unsigned node : visible(given.gpus)) {
    auto gpu = std::make_unique<Agent>();
    gpu->gpu = true;
    gpu->node = node + 1;
    gpu->index = static_cast<unsigned>(made->gpus.size());
    add_pool(*gpu, PoolKind::kCoarse, made->vram_bytes);
    add_pool(*gpu, PoolKind::kExtendedFine, made->vram_bytes);
    add_pool(*gpu, PoolKind::kFine, made->vram_bytes);
    add_pool(*gpu, PoolKind::kGroup, 64 * 1024);
    made->gpus.push_back(std::move(gpu));
  }
  return made;
}

}  // namespace

Machine& machine() {
  static Machine* const made = build();
  return *made;
}

Agent* agent_of(hsa_agent_t handle) {
  Machine& all = machine();
  if (handle.handle == handle_of(&all.cpu).handle) return &all.cpu;
  for (const auto& gpu : all.gpus) {
    if (handle.handle == handle_of(gpu.get()).handle) return gpu.get();
  }
  return nullptr;
}

Pool* pool_of(hsa_amd_memory_pool_t handle) {
  Machine& all = machine();
  const auto among = [&](const Agent& agent) -> Pool* {
    for (const auto& pool : agent.pools) {
      if (handle.handle == handle_of(pool.get()).handle) return pool.get();
    }
    return nullptr;
  };
  if (Pool* const pool = among(all.cpu)) return pool;
  for (const auto& gpu : all.gpus) {
    if (Pool* const pool = among(*gpu)) return pool;
  }
  return nullptr;
}

std::uint64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

namespace {

// One write for one line: those of several threads and processes do not mix.
void write_line(const char* format, va_list arguments) {
  char line[1024];
  int length = std::snprintf(line, sizeof line, "emulation: ");
  length +=
      std::vsnprintf(line + length, sizeof line - static_cast<std::size_t>(length) - 1, format, arguments);
  length = std::min<int>(length, sizeof line - 2);
  line[length] = '\n';
  [[maybe_unused]] const auto written = write(STDERR_FILENO, line, static_cast<std::size_t>(length) + 1);
}

}  // namespace

void say(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  write_line(format, arguments);
  va_end(arguments);
}

void log(const char* format, ...) {
  if (!settings().log) return;
  va_list arguments;
  va_start(arguments, format);
  write_line(format, arguments);
  va_end(arguments);
}

void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  write_line(format, arguments);
  va_end(arguments);
  std::abort();
}

}  // namespace emulation
