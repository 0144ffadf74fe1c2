// Queues: dispatches, the barrier packets, the barrier bit, and what is written into a completion signal.
#include "device.h"

TEST(a_dispatch_runs_each_work_item_once_and_says_when) {
  begin();
  int* const place = allocate(gpu(0), 1);
  TestQueue queue(gpu(0));
  Add arguments = {place, 2};
  const hsa_signal_t done = signal();
  queue.dispatch(kernel(gpu(0), "add", kAdd), &arguments, done, true, 1000, 64);
  queue.ring();
  CHECK(reaches_zero(done));
  CHECK_EQUAL(*place, 2000);
  hsa_amd_profiling_dispatch_time_t time = {};
  CHECK_EQUAL(hsa_amd_profiling_get_dispatch_time(gpu(0), done, &time), HSA_STATUS_SUCCESS);
  CHECK(time.start > 0 && time.end >= time.start);
}

TEST(more_packets_than_a_queue_has_room_for_run_in_turn) {
  begin();
  int* const place = allocate(gpu(0), 1);
  TestQueue queue(gpu(0), 64);
  const std::uint64_t object = kernel(gpu(0), "add", kAdd);
  Add arguments = {place, 1};
  for (int round = 0; round < 10; ++round) {
    const hsa_signal_t done = signal(64);
    for (int i = 0; i < 64; ++i) queue.dispatch(object, &arguments, done);
    queue.ring();
    CHECK(reaches_zero(done));
  }
  CHECK_EQUAL(*place, 640);
}

TEST(barrier_and_waits_for_every_signal_that_it_names) {
  begin();
  TestQueue queue(gpu(0));
  const hsa_signal_t first = signal(), second = signal(), done = signal();
  queue.wait_for(HSA_PACKET_TYPE_BARRIER_AND, {first, second}, done);
  queue.ring();
  hsa_signal_store_screlease(first, 0);
  CHECK(!reaches_zero(done, 5'000'000));
  hsa_signal_store_screlease(second, 0);
  CHECK(reaches_zero(done));
}

TEST(barrier_or_waits_for_one_of_the_signals_that_it_names) {
  begin();
  TestQueue queue(gpu(0));
  const hsa_signal_t first = signal(), second = signal(), done = signal();
  queue.wait_for(HSA_PACKET_TYPE_BARRIER_OR, {first, second}, done);
  queue.ring();
  CHECK(!reaches_zero(done, 5'000'000));
  hsa_signal_store_screlease(second, 0);
  CHECK(reaches_zero(done));
  CHECK_EQUAL(hsa_signal_load_relaxed(first), 1);
}

TEST(barrier_packets_without_a_signal_do_not_wait) {
  begin();
  TestQueue queue(gpu(0));
  const hsa_signal_t done = signal(2);
  queue.wait_for(HSA_PACKET_TYPE_BARRIER_OR, {}, done);
  queue.wait_for(HSA_PACKET_TYPE_BARRIER_AND, {}, done);
  queue.ring();
  CHECK(reaches_zero(done));
}

TEST(barrier_value_waits_until_the_masked_value_meets_its_condition) {
  begin();
  TestQueue queue(gpu(0));
  const hsa_signal_t watched = signal(0x10), done = signal();
  hsa_amd_barrier_value_packet_t packet = {};
  packet.header.header = header_of(HSA_PACKET_TYPE_VENDOR_SPECIFIC, true);
  packet.header.AmdFormat = HSA_AMD_PACKET_TYPE_BARRIER_VALUE;
  packet.signal = watched;
  packet.mask = 0x0f;
  packet.cond = HSA_SIGNAL_CONDITION_GTE;
  packet.value = 3;
  packet.completion_signal = done;
  queue.write(packet);
  queue.ring();
  hsa_signal_store_screlease(watched, 0x20);
  CHECK(!reaches_zero(done, 5'000'000));
  hsa_signal_store_screlease(watched, 0x23);
  CHECK(reaches_zero(done));
}

TEST(a_queue_that_waits_can_be_destroyed) {
  begin();
  const hsa_signal_t never = signal(), done = signal();
  {
    TestQueue queue(gpu(0));
    queue.wait_for(HSA_PACKET_TYPE_BARRIER_AND, {never}, done);
    queue.ring();
    CHECK(!reaches_zero(done, 1'000'000));
  }
  CHECK_EQUAL(hsa_signal_load_relaxed(done), 1);
}

TEST(copies_wait_for_their_signals_and_a_box_is_copied_row_by_row) {
  begin();
  char* const from = allocate<char>(gpu(0), 64);
  char* const to = allocate<char>(gpu(0), 64);
  for (int i = 0; i < 64; ++i) from[i] = static_cast<char>(i);
  const hsa_signal_t before = signal(), done = signal();
  const hsa_pitched_ptr_t source = {from, 8, 64}, target = {to, 4, 16};
  const hsa_dim3_t source_offset = {2, 1, 0}, target_offset = {1, 0, 0}, range = {3, 4, 1};
  CHECK_EQUAL(hsa_amd_memory_async_copy_rect(&target, &target_offset, &source, &source_offset, &range, gpu(0),
                                             hsaDeviceToDevice, 1, &before, done),
              HSA_STATUS_SUCCESS);
  CHECK(!reaches_zero(done, 2'000'000));
  hsa_signal_store_screlease(before, 0);
  CHECK(reaches_zero(done));
  for (int y = 0; y < 4; ++y) {
    CHECK_EQUAL(to[y * 4], 0);
    for (int x = 0; x < 3; ++x) CHECK_EQUAL(to[y * 4 + 1 + x], static_cast<char>((y + 1) * 8 + 2 + x));
  }
}
