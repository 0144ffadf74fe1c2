// Kernels: shared memory and barriers, libraries, and kernels that nobody has.
#include <numeric>

#include "device.h"

namespace {

const std::vector<KernelArgument> kOne = {{0, 8, "global_buffer"}};
const std::vector<KernelArgument> kTwo = {{0, 8, "global_buffer"}, {8, 8, "global_buffer"}};

void run(const char* name, const std::vector<KernelArgument>& arguments, void* kernarg, std::uint32_t items,
         std::uint16_t block, std::uint32_t group_bytes = 0) {
  TestQueue queue(gpu(0));
  const hsa_signal_t done = signal();
  queue.dispatch(kernel(gpu(0), name, arguments), kernarg, done, true, items, block, group_bytes);
  queue.ring();
  CHECK(reaches_zero(done));
}

}  // namespace

TEST(work_items_of_a_block_exchange_values_through_static_shared_memory) {
  begin();
  int* data = allocate(gpu(0), 1024);
  std::iota(data, data + 1024, 0);
  run("reverse", kOne, &data, 1024, 256);
  for (int block = 0; block < 4; ++block) {
    for (int i = 0; i < 256; ++i) CHECK_EQUAL(data[block * 256 + i], block * 256 + 255 - i);
  }
}

TEST(barriers_in_a_loop_and_dynamic_shared_memory_add_up) {
  begin();
  int* arguments[2] = {allocate(gpu(0), 2048), allocate(gpu(0), 1)};
  std::iota(arguments[0], arguments[0] + 2048, 0);
  run("sum", kTwo, arguments, 2048, 256, 256 * sizeof(int));
  CHECK_EQUAL(*arguments[1], 2047 * 2048 / 2);
}

TEST(blocks_with_barriers_run_on_several_queues_at_once) {
  begin();
  constexpr int kQueues = 4;
  std::vector<TestQueue*> queues;
  std::vector<int*> data;
  const std::uint64_t object = kernel(gpu(0), "reverse", kOne);
  for (int i = 0; i < kQueues; ++i) {
    data.push_back(allocate(gpu(0), 4096));
    std::iota(data[static_cast<std::size_t>(i)], data[static_cast<std::size_t>(i)] + 4096, i);
    queues.push_back(new TestQueue(gpu(0)));
  }
  const hsa_signal_t done = signal(2 * kQueues);
  for (std::size_t i = 0; i < kQueues; ++i) {
    for (int twice = 0; twice < 2; ++twice) queues[i]->dispatch(object, &data[i], done, true, 4096, 256);
    queues[i]->ring();
  }
  CHECK(reaches_zero(done));
  for (int i = 0; i < kQueues; ++i) {
    for (int j = 0; j < 4096; ++j) CHECK_EQUAL(data[static_cast<std::size_t>(i)][j], i + j);
    delete queues[static_cast<std::size_t>(i)];
  }
}

TEST(work_items_that_end_while_others_wait_end_the_process_with_a_sentence) {
  const Ending ending = ending_of([] {
    begin();
    int* place = allocate(gpu(0), 1);
    run("some_leave", kOne, &place, 64, 64);
  });
  CHECK(ending.aborted());
  CHECK(ending.says(
      "kernel some_leave: some work-items of a block ended while the others wait at __syncthreads"));
}

TEST(a_kernel_that_nobody_has_ends_the_process_with_what_to_do) {
  const Ending ending = ending_of([] {
    begin();
    int* place = allocate(gpu(0), 1);
    run("of_nobody", kOne, &place, 1, 1);
  });
  CHECK(ending.aborted());
  CHECK(ending.says("no CPU function for the kernel of_nobody"));
  CHECK(ending.says("HSA_STANDIN_KERNELS"));
}

TEST(a_kernel_that_nobody_has_is_left_out_where_that_is_asked_for) {
  const Ending ending = ending_of([] {
    set("HSA_STANDIN_UNKNOWN", "skip");
    begin();
    int* place = allocate(gpu(0), 1);
    for (int i = 0; i < 2; ++i) run("of_nobody", kOne, &place, 1, 1);
  });
  CHECK(ending.exited(0));
  const std::size_t first = ending.text.find("of_nobody");
  CHECK(first != std::string::npos);
  CHECK(ending.text.find("of_nobody", first + 1) == std::string::npos);
}

TEST(a_library_that_cannot_be_loaded_ends_the_process_with_its_name) {
  const Ending ending = ending_of([] {
    set("HSA_STANDIN_KERNELS", "/proc/absent/of.kernels.so");
    begin();
    int* place = allocate(gpu(0), 1);
    run("reverse", kOne, &place, 1, 1);
  });
  CHECK(ending.aborted());
  CHECK(ending.says("/proc/absent/of.kernels.so"));
}

TEST(hips_own_fill_of_rows_writes_the_rows_and_not_between_them) {
  begin();
  struct {
    void *chars = nullptr, *shorts = nullptr, *ints, *longs = nullptr;
    int* pattern;
    std::uint32_t size = 1;
    std::uint64_t start = 1, width = 3, height = 2, pitch = 8;
  } arguments;
  int* const data = allocate(gpu(0), 32);
  arguments.ints = data;
  arguments.pattern = allocate(gpu(0), 1);
  *arguments.pattern = 7;
  TestQueue queue(gpu(0));
  hsa_kernel_dispatch_packet_t packet = {};
  packet.header = header_of(HSA_PACKET_TYPE_KERNEL_DISPATCH, true);
  packet.setup = 2;
  packet.workgroup_size_x = packet.workgroup_size_y = 16;
  packet.workgroup_size_z = 1;
  packet.grid_size_z = 1;
  packet.grid_size_x = packet.grid_size_y = 16;
  packet.kernel_object = kernel(gpu(0), "__amd_rocclr_fillBufferAligned2D", kOne);
  packet.kernarg_address = &arguments;
  packet.completion_signal = signal();
  queue.write(packet);
  queue.ring();
  CHECK(reaches_zero(packet.completion_signal));
  for (int i = 0; i < 32; ++i) CHECK_EQUAL(data[i], (i >= 1 && i <= 3) || (i >= 9 && i <= 11) ? 7 : 0);
}

TEST(hips_own_batch_of_memory_operations_is_carried_out_in_order) {
  begin();
  struct Operation {
    std::uint32_t type;
    void* place;
    std::uint64_t value;
    std::uint32_t condition;
    std::uint64_t rest[2];
  };
  auto* const places = allocate<std::uint64_t>(gpu(0), 2);
  auto* const all = allocate<Operation>(gpu(0), 4);
  all[0] = {2, places, 5, 0, {}};               // write 32 bits
  all[1] = {1, places, 5, 1, {}};               // wait for their value
  all[2] = {5, places + 1, 1ull << 40, 0, {}};  // write 64 bits
  all[3] = {4, places + 1, 1ull << 40, 0, {}};  // wait for at least them
  struct {
    Operation* all;
    std::uint32_t count;
  } arguments = {all, 4};
  run("__amd_rocclr_batchMemOp", kOne, &arguments, 1, 1);
  CHECK_EQUAL(places[0], 5u);
  CHECK_EQUAL(places[1], 1ull << 40);
}
