#include "schedule.h"

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "settings.h"

namespace emulation {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

// SplitMix64 (Steele, Lea, Flood 2014): neighbouring numbers in, unrelated ones out.
std::uint64_t mixed(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

std::uint64_t choice(Actor actor, std::uint64_t which, std::uint64_t index) {
  const std::uint64_t seed = mixed(*settings().overlap);
  return mixed(mixed(mixed(seed ^ static_cast<std::uint64_t>(actor)) ^ which) ^ index);
}

constexpr unsigned kMostThreads = 64;

struct Workers {
  std::mutex mutex;
  std::condition_variable changed;
  std::multimap<Clock::time_point, std::function<void()>> due;
  unsigned threads = 0, idle = 0;
};

Workers& workers() {
  static auto* const made = new Workers;
  return *made;
}

void serve() {
  Workers& all = workers();
  std::unique_lock<std::mutex> lock(all.mutex);
  for (;;) {
    if (all.due.empty()) {
      ++all.idle;
      all.changed.wait(lock);
      --all.idle;
      continue;
    }
    const auto first = all.due.begin();
    if (first->first > Clock::now()) {
      const auto when = first->first;
      ++all.idle;
      all.changed.wait_until(lock, when);
      --all.idle;
      continue;
    }
    const auto work = std::move(first->second);
    all.due.erase(first);
    if (!all.due.empty()) {
      if (all.idle == 0 && all.threads < kMostThreads) {
        ++all.threads;
        std::thread(serve).detach();
      } else {
        all.changed.notify_one();
      }
    }
    lock.unlock();
    work();
    lock.lock();
  }
}

}  // namespace

bool overlapping() { return settings().overlap.has_value(); }

std::uint64_t delay(Actor actor, std::uint64_t which, std::uint64_t index) {
  constexpr std::uint64_t kScales[] = {10, 40, 150};
  static const std::uint64_t scale = kScales[choice(Actor::kScale, 0, 0) % 3];
  const std::uint64_t made = choice(actor, which, index), what = made % 100, much = made / 100;
  if (what < 50) return 0;
  return what < 95 ? much % scale : much % (10 * scale);
}

std::uint64_t lag(std::uint64_t queue, std::uint64_t index) {
  const std::uint64_t made = choice(Actor::kLag, queue, index);
  return made % 2 ? 0 : 1 + made / 2 % 7;
}

void linger(Actor actor, std::uint64_t which, std::uint64_t index) {
  if (!overlapping()) return;
  if (const std::uint64_t time = delay(actor, which, index)) std::this_thread::sleep_for(microseconds(time));
}

void later(std::uint64_t delay_us, std::function<void()> work) {
  Workers& all = workers();
  {
    const std::lock_guard<std::mutex> lock(all.mutex);
    all.due.emplace(Clock::now() + microseconds(delay_us), std::move(work));
    if (all.idle == 0 && all.threads < kMostThreads) {
      ++all.threads;
      std::thread(serve).detach();
    }
  }
  all.changed.notify_one();
}

}  // namespace emulation
