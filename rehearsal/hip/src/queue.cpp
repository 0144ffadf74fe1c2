#include "queue.h"

#include <thread>
#include <utility>

namespace standin {

Queue::Ticket Queue::push(Task task) {
  const std::lock_guard lock(mutex_);
  if (!started_) {
    // Detached: it holds the queue alive, and a process may end while a kernel still spins.
    std::thread([self = shared_from_this()] { self->run(); }).detach();
    started_ = true;
  }
  tasks_.push_back(std::move(task));
  changed_.notify_all();
  return ++pushed_;
}

Queue::Ticket Queue::tail() const {
  const std::lock_guard lock(mutex_);
  return pushed_;
}

bool Queue::done(Ticket ticket) const {
  const std::lock_guard lock(mutex_);
  return finished_ >= ticket;
}

void Queue::wait(Ticket ticket) const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return finished_ >= ticket; });
}

void Queue::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

void Queue::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return closed_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task = nullptr;  // what it held is gone before anyone sees it finished
    lock.lock();
    ++finished_;
    changed_.notify_all();
  }
}

}  // namespace standin
