#include "schedule.h"


#include <chrono>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "settings.h"

namespace emulation {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

constexpr unsigned kMostThreads = 64;

struct Pool {
  std::mutex mutex;
  std::condition_variable changed;
  std::multimap<Clock::time_point, std::function<void()>> due;
  unsigned threads = 0, idle = 0;
};

Pool& pool() {
  static auto* const made = new Pool;
  return *made;
}

void serve() {
  Pool& all = pool();
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

std::uint64_t some_delay() {
  static auto* const mutex = new std::mutex;
  static auto* const random = new std::mt19937_64(*settings().overlap);
  static const std::uint64_t scale = (std::uint64_t[]){10, 40, 150}[(*random)() % 3];
  const std::lock_guard<std::mutex> lock(*mutex);
  const std::uint64_t what = (*random)() % 100, much = (*random)();
  if (what < 50) return 0;
  return what < 95 ? much % scale : much % (10 * scale);
}

void later(std::uint64_t delay_us, std::function<void()> work) {
  Pool& all = pool();
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

void linger() {
  if (!overlapping()) return;
  if (const std::uint64_t delay = some_delay()) std::this_thread::sleep_for(microseconds(delay));
}

static std::FILE* trace_file() {
  static std::FILE* const file = [] {
    const std::string& name = settings().trace;
    return name.empty() ? nullptr : std::fopen(name.c_str(), "w");
  }();
  return file;
}

bool tracing() { return trace_file() != nullptr; }

void trace(const char* format, ...) {
  std::FILE* const file = trace_file();
  if (!file) return;
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  const int length = std::vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  line[length] = '\n';
  std::fwrite(line, 1, static_cast<std::size_t>(length) + 1, file);
  std::fflush(file);
}

}  // namespace emulation
