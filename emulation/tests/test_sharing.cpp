// Memory between processes: what one GPU's process writes, another reads by an IPC handle.
#include "device.h"

namespace {

// The child gets the handle of `from` through a pipe; it was forked before the parent had threads.
struct Pipe {
  int ends[2];
  Pipe() { CHECK(pipe(ends) == 0); }
  void send(const void* bytes, std::size_t size) {
    CHECK(write(ends[1], bytes, size) == static_cast<ssize_t>(size));
  }
  void receive(void* bytes, std::size_t size) {
    CHECK(read(ends[0], bytes, size) == static_cast<ssize_t>(size));
  }
};

}  // namespace

TEST(an_ipc_handle_opens_the_same_memory_in_another_process) {
  Pipe there, back;
  const pid_t child = fork();
  if (child == 0) {
    begin();
    hsa_amd_ipc_memory_t handle;
    there.receive(&handle, sizeof handle);
    void* mapped = nullptr;
    const hsa_agent_t only = gpu(1);
    CHECK_EQUAL(hsa_amd_ipc_memory_attach(&handle, 8192, 1, &only, &mapped), HSA_STATUS_SUCCESS);
    int* const numbers = static_cast<int*>(mapped);
    CHECK_EQUAL(numbers[3], 42);
    numbers[4] = 43;
    CHECK_EQUAL(hsa_amd_ipc_memory_detach(mapped), HSA_STATUS_SUCCESS);
    CHECK_EQUAL(hsa_amd_ipc_memory_detach(mapped), HSA_STATUS_ERROR_INVALID_ARGUMENT);
    back.send("d", 1);
    std::_Exit(0);
  }
  begin();
  allocate(gpu(0), 1);  // so that the handle's memory is not the first of its GPU
  int* const numbers = allocate(gpu(0), 2048);
  numbers[3] = 42;
  hsa_amd_ipc_memory_t handle;
  CHECK_EQUAL(hsa_amd_ipc_memory_create(numbers, 8192, &handle), HSA_STATUS_SUCCESS);
  there.send(&handle, sizeof handle);
  char done = 0;
  back.receive(&done, 1);
  CHECK_EQUAL(numbers[4], 43);
  int status = 0;
  waitpid(child, &status, 0);
  CHECK_EQUAL(status, 0);
}

TEST(what_is_no_ipc_handle_and_what_is_no_gpu_memory_is_refused) {
  begin();
  hsa_amd_ipc_memory_t handle = {};
  void* mapped = nullptr;
  CHECK_EQUAL(hsa_amd_ipc_memory_attach(&handle, 4096, 0, nullptr, &mapped),
              HSA_STATUS_ERROR_INVALID_ARGUMENT);
  CHECK_EQUAL(hsa_amd_ipc_memory_create(allocate(cpu(), 1), 4096, &handle),
              HSA_STATUS_ERROR_INVALID_ARGUMENT);
}

TEST(memory_that_is_freed_is_given_out_again_empty) {
  begin();
  int* const first = allocate(gpu(0), 1024);
  first[0] = 9;
  CHECK_EQUAL(hsa_amd_memory_pool_free(first), HSA_STATUS_SUCCESS);
  int* const second = allocate(gpu(0), 1024);
  CHECK(second == first);
  CHECK_EQUAL(second[0], 0);
  CHECK_EQUAL(hsa_amd_memory_pool_free(second), HSA_STATUS_SUCCESS);
  CHECK_EQUAL(hsa_amd_memory_pool_free(second), HSA_STATUS_ERROR_INVALID_ALLOCATION);
}
