// Work in stream order: one queue a stream, each executed by a thread of its own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

namespace standin {

using Task = std::function<void()>;

// A thread a queue, because kernels of several ranks poll each other's flags: none may wait for
// another to leave a shared worker. The thread starts with the first task and outlives the handle
// until the queue is drained.
class Queue : public std::enable_shared_from_this<Queue> {
 public:
  using Ticket = std::uint64_t;

  Ticket push(Task task);
  Ticket tail() const;
  bool done(Ticket ticket) const;
  void wait(Ticket ticket) const;
  void close();  // no push may follow

 private:
  void run();

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::deque<Task> tasks_;
  Ticket pushed_ = 0;
  Ticket finished_ = 0;
  bool started_ = false;
  bool closed_ = false;
};

// A point in a queue's order. The empty marker is always done.
struct Marker {
  std::shared_ptr<Queue> queue;
  Queue::Ticket ticket = 0;

  bool done() const { return !queue || queue->done(ticket); }
  void wait() const {
    if (queue) queue->wait(ticket);
  }
};

}  // namespace standin
