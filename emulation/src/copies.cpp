// Asynchronous copies: a thread that takes them in order, as a GPU's copy engine does, for each engine.
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "machine.h"
#include "schedule.h"
#include "signals.h"

namespace emulation {
namespace {

struct Job {
  std::vector<hsa_signal_t> before;
  std::function<void()> work;
  hsa_signal_t done;
};

class Engine {
 public:
  void submit(Job job) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      jobs_.push_back(std::move(job));
      if (!started_) {
        started_ = true;
        std::thread([this] { run(); }).detach();
      }
    }
    more_.notify_one();
  }

 private:
  void run() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      more_.wait(lock, [this] { return !jobs_.empty(); });
      const Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      for (const hsa_signal_t signal : job.before) {
        if (signal.handle) wait_for(signal_of(signal), HSA_SIGNAL_CONDITION_EQ, 0, -1, nullptr);
      }
      const std::uint64_t started = now_ns();
      linger();
      job.work();
      linger();
      complete(job.done, started);
    }
  }

  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<Job> jobs_;
  bool started_ = false;
};

// By the agents on both sides: a copy to a GPU does not wait for one from it.
Engine& engine(hsa_agent_t to, hsa_agent_t from) {
  static auto* const mutex = new std::mutex;
  static auto* const engines = new std::map<std::pair<std::uint64_t, std::uint64_t>, Engine>;
  const std::lock_guard<std::mutex> lock(*mutex);
  return (*engines)[{to.handle, from.handle}];
}

std::vector<hsa_signal_t> list(std::uint32_t count, const hsa_signal_t* signals) {
  return count ? std::vector<hsa_signal_t>(signals, signals + count) : std::vector<hsa_signal_t>();
}

char* at(const hsa_pitched_ptr_t& area, const hsa_dim3_t& offset, std::uint32_t y, std::uint32_t z) {
  return static_cast<char*>(area.base) + offset.x + (offset.y + y) * area.pitch + (offset.z + z) * area.slice;
}

}  // namespace
}  // namespace emulation

using namespace emulation;

extern "C" {

hsa_status_t hsa_amd_memory_async_copy(void* to, hsa_agent_t to_agent, const void* from,
                                       hsa_agent_t from_agent, size_t size, std::uint32_t count,
                                       const hsa_signal_t* before, hsa_signal_t done) {
  engine(to_agent, from_agent).submit({list(count, before), [=] { std::memmove(to, from, size); }, done});
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
  engine(agent, agent).submit({list(count, before), work, done});
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
  engine(agent, agent).submit({list(count, before), [] {}, done});
  return HSA_STATUS_SUCCESS;
}
}
