// Asynchronous copies: a thread that takes them in order, as a GPU's copy engine does, for each engine.
#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "faults.h"
#include "machine.h"
#include "memory.h"
#include "schedule.h"
#include "signals.h"

namespace emulation {
namespace {

// Bytes at one place.
struct Range {
  const void* start;
  std::size_t bytes;
};

struct Job {
  std::vector<hsa_signal_t> before;
  std::vector<Range> touched;
  std::vector<Agent*> agents;  // the GPUs on either side: one of them does it
  std::function<void()> work;
  hsa_signal_t done;
};

// Where no GPU of the job may touch all of it: what the first one may not touch.
std::optional<const void*> forbidden(const Job& job) {
  std::optional<const void*> first;
  for (const Agent* const agent : job.agents) {
    std::optional<const void*> wrong;
    for (const Range& range : job.touched) {
      if (!wrong) wrong = forbidden(*agent, range.start, range.bytes);
    }
    if (!wrong) return std::nullopt;
    if (!first) first = wrong;
  }
  return first;
}

class Engine {
 public:
  void submit(Job job, std::uint64_t id) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      jobs_.push_back(std::move(job));
      if (!started_) {
        started_ = true;
        std::thread([this, id] { run(id); }).detach();
      }
    }
    more_.notify_one();
  }

 private:
  void run(std::uint64_t id) {
    for (std::uint64_t index = 0;; ++index) {
      std::unique_lock<std::mutex> lock(mutex_);
      more_.wait(lock, [this] { return !jobs_.empty(); });
      const Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      for (const hsa_signal_t signal : job.before) {
        if (signal.handle) wait_for(signal_of(signal), HSA_SIGNAL_CONDITION_EQ, 0, -1, nullptr);
      }
      const std::uint64_t started = now_ns();
      linger(Actor::kEngineBefore, id, index);
      if (std::any_of(job.agents.begin(), job.agents.end(),
                      [](const Agent* a) { return a->faulted.load(); })) {
        continue;
      }
      if (const auto address = forbidden(job)) {
        report_fault(*job.agents.front(), *address, "a copy");
        continue;
      }
      job.work();
      linger(Actor::kEngineAfter, id, index);
      complete(job.done, started);
    }
  }

  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<Job> jobs_;
  bool started_ = false;
};

// By the agents on both sides: a copy to a GPU does not wait for one from it.
void submit(hsa_agent_t to, hsa_agent_t from, Job job) {
  static auto* const mutex = new std::mutex;
  static auto* const engines = new std::map<std::pair<std::uint64_t, std::uint64_t>, Engine>;
  for (const hsa_agent_t side : {to, from}) {
    Agent* const agent = agent_of(side);
    if (agent && agent->gpu) job.agents.push_back(agent);
  }
  const auto node = [](hsa_agent_t side) { return agent_of(side) ? agent_of(side)->node : 0u; };
  const std::uint64_t id = node(to) << 8 | node(from);
  const std::lock_guard<std::mutex> lock(*mutex);
  (*engines)[{to.handle, from.handle}].submit(std::move(job), id);
}

std::vector<hsa_signal_t> list(std::uint32_t count, const hsa_signal_t* signals) {
  return count ? std::vector<hsa_signal_t>(signals, signals + count) : std::vector<hsa_signal_t>();
}

char* at(const hsa_pitched_ptr_t& area, const hsa_dim3_t& offset, std::uint32_t y, std::uint32_t z) {
  return static_cast<char*>(area.base) + offset.x + (offset.y + y) * area.pitch + (offset.z + z) * area.slice;
}

// From the first byte of a box to its last.
Range range_of(const hsa_pitched_ptr_t& area, const hsa_dim3_t& offset, const hsa_dim3_t& size) {
  if (size.x == 0 || size.y == 0 || size.z == 0) return {area.base, 0};
  const char* const first = at(area, offset, 0, 0);
  return {first, static_cast<std::size_t>(at(area, offset, size.y - 1, size.z - 1) - first) + size.x};
}

}  // namespace
}  // namespace emulation

using namespace emulation;

extern "C" {

hsa_status_t hsa_amd_memory_async_copy(void* to, hsa_agent_t to_agent, const void* from,
                                       hsa_agent_t from_agent, size_t size, std::uint32_t count,
                                       const hsa_signal_t* before, hsa_signal_t done) {
  submit(to_agent, from_agent,
         {list(count, before), {{to, size}, {from, size}}, {}, [=] { std::memmove(to, from, size); }, done});
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_memory_async_copy_on_engine(void* to, hsa_agent_t to_agent, const void* from,
                                                 hsa_agent_t from_agent, size_t size, std::uint32_t count,
                                                 const hsa_signal_t* before, hsa_signal_t done,
                                                 hsa_amd_sdma_engine_id_t, bool) {
  return hsa_amd_memory_async_copy(to, to_agent, from, from_agent, size, count, before, done);
}

hsa_status_t hsa_amd_memory_async_copy_rect(const hsa_pitched_ptr_t* to, const hsa_dim3_t* to_offset,
                                            const hsa_pitched_ptr_t* from, const hsa_dim3_t* from_offset,
                                            const hsa_dim3_t* range, hsa_agent_t agent,
                                            hsa_amd_copy_direction_t, std::uint32_t count,
                                            const hsa_signal_t* before, hsa_signal_t done) {
  const auto work = [to = *to, to_offset = *to_offset, from = *from, from_offset = *from_offset,
                     range = *range] {
    for (std::uint32_t z = 0; z < range.z; ++z) {
      for (std::uint32_t y = 0; y < range.y; ++y) {
        std::memmove(at(to, to_offset, y, z), at(from, from_offset, y, z), range.x);
      }
    }
  };
  const std::vector<Range> touched = {range_of(*to, *to_offset, *range),
                                      range_of(*from, *from_offset, *range)};
  submit(agent, agent, {list(count, before), touched, {}, work, done});
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_memory_copy_engine_status(hsa_agent_t, hsa_agent_t, std::uint32_t* mask) {
  *mask = HSA_AMD_SDMA_ENGINE_0 | HSA_AMD_SDMA_ENGINE_1;
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_memory_get_preferred_copy_engine(hsa_agent_t, hsa_agent_t, std::uint32_t* mask) {
  *mask = HSA_AMD_SDMA_ENGINE_0;
  return HSA_STATUS_SUCCESS;
}

hsa_status_t hsa_amd_svm_prefetch_async(void*, size_t, hsa_agent_t agent, std::uint32_t count,
                                        const hsa_signal_t* before, hsa_signal_t done) {
  submit(agent, agent, {list(count, before), {}, {}, [] {}, done});
  return HSA_STATUS_SUCCESS;
}
}
