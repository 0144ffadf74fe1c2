// HSA_STANDIN_OVERLAP: what may run in another order does, in the same one for the same seed.
#include <algorithm>
#include <numeric>

#include "device.h"

namespace {

constexpr int kDispatches = 48;

struct Append {
  int *list, *count;
  int value;
};

// The order in which dispatches of one queue run that are handed over together, in a process of its own.
std::vector<int> order(const char* seed, bool barrier) {
  int pipes[2];
  CHECK(pipe(pipes) == 0);
  const Ending ending = ending_of([&] {
    if (seed) set("HSA_STANDIN_OVERLAP", seed);
    begin();
    int* const list = allocate(gpu(0), kDispatches);
    int* const count = allocate(gpu(0), 1);
    const std::uint64_t object =
        kernel(gpu(0), "append", {{0, 8, "global_buffer"}, {8, 8, "global_buffer"}, {16, 4, "by_value"}});
    std::vector<Append> arguments;
    for (int i = 0; i < kDispatches; ++i) arguments.push_back({list, count, i});
    const hsa_signal_t gate = signal(), done = signal(kDispatches);
    TestQueue queue(gpu(0));
    queue.wait_for(HSA_PACKET_TYPE_BARRIER_AND, {gate});
    for (Append& each : arguments) queue.dispatch(object, &each, done, barrier);
    queue.ring();
    hsa_signal_store_screlease(gate, 0);
    CHECK(reaches_zero(done));
    CHECK(write(pipes[1], list, sizeof(int) * kDispatches) == sizeof(int) * kDispatches);
  });
  CHECK(ending.exited(0));
  std::vector<int> ran(kDispatches);
  CHECK(read(pipes[0], ran.data(), sizeof(int) * kDispatches) == sizeof(int) * kDispatches);
  close(pipes[0]);
  close(pipes[1]);
  return ran;
}

std::vector<int> as_given() {
  std::vector<int> all(kDispatches);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

}  // namespace

TEST(dispatches_without_the_barrier_bit_run_in_another_order_and_each_once) {
  std::vector<int> ran = order("1", false);
  CHECK(ran != as_given());
  std::sort(ran.begin(), ran.end());
  CHECK(ran == as_given());
}

TEST(the_same_seed_gives_the_same_order_and_another_seed_another) {
  const std::vector<int> ran = order("7", false);
  for (int i = 0; i < 3; ++i) CHECK(order("7", false) == ran);
  CHECK(order("8", false) != ran);
}

TEST(the_barrier_bit_keeps_the_order_and_so_does_a_schedule_without_a_seed) {
  CHECK(order("7", true) == as_given());
  CHECK(order(nullptr, false) == as_given());
}

TEST(a_kernel_that_waits_for_the_next_one_does_not_hang_where_they_may_overlap) {
  set("HSA_STANDIN_OVERLAP", "3");
  begin();
  int* flag = allocate(gpu(0), 1);
  TestQueue queue(gpu(0));
  struct {
    int* place;
    int value;
  } write = {flag, 1};
  const hsa_signal_t done = signal(2);
  queue.dispatch(kernel(gpu(0), "await", {{0, 8, "global_buffer"}}), &flag, done, false);
  queue.dispatch(kernel(gpu(0), "add", {{0, 8, "global_buffer"}, {8, 4, "by_value"}}), &write, done, false);
  queue.ring();
  CHECK(reaches_zero(done));
}

TEST(a_barrier_packet_without_the_barrier_bit_may_wait_for_a_dispatch_before_it) {
  set("HSA_STANDIN_OVERLAP", "5");
  begin();
  int* const place = allocate(gpu(0), 1);
  struct {
    int* place;
    int value;
  } arguments = {place, 1};
  const std::uint64_t object = kernel(gpu(0), "add", {{0, 8, "global_buffer"}, {8, 4, "by_value"}});
  TestQueue queue(gpu(0));
  for (int i = 0; i < 20; ++i) {
    const hsa_signal_t ran = signal(), done = signal();
    queue.dispatch(object, &arguments, ran, false);
    queue.wait_for(HSA_PACKET_TYPE_BARRIER_AND, {ran}, done, false);
    queue.ring();
    CHECK(reaches_zero(done));
    CHECK_EQUAL(*place, i + 1);
  }
}
