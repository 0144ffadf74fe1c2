// Access: a GPU that touches memory which it was given no access to faults, and one that was given it does
// not.
#include "device.h"

namespace {

void* fault_address;
hsa_agent_t fault_agent;

// As HIP 7.2 does: it takes care of the fault, and the process goes on.
hsa_status_t take_care(const hsa_amd_event_t* event, void*) {
  CHECK_EQUAL(event->event_type, HSA_AMD_GPU_MEMORY_FAULT_EVENT);
  fault_agent = event->memory_fault.agent;
  __atomic_store_n(&fault_address, reinterpret_cast<void*>(event->memory_fault.virtual_address),
                   __ATOMIC_RELEASE);
  return HSA_STATUS_SUCCESS;
}

void begin_with_handler() {
  begin();
  CHECK_EQUAL(hsa_amd_register_system_event_handler(take_care, nullptr), HSA_STATUS_SUCCESS);
}

// Whether the dispatch is complete; else a fault was reported, of that GPU at that address.
bool add_runs(hsa_agent_t agent, int* place) {
  __atomic_store_n(&fault_address, nullptr, __ATOMIC_RELEASE);
  TestQueue queue(agent);
  Add arguments = {place, 1};
  const hsa_signal_t done = signal();
  queue.dispatch(kernel(agent, "add", kAdd), &arguments, done);
  queue.ring();
  for (int i = 0; i < 10'000; ++i) {
    if (reaches_zero(done, 1'000'000)) return true;
    if (__atomic_load_n(&fault_address, __ATOMIC_ACQUIRE)) break;
  }
  CHECK(fault_address == place);
  CHECK_EQUAL(fault_agent.handle, agent.handle);
  CHECK_EQUAL(hsa_signal_load_relaxed(done), 1);
  CHECK_EQUAL(*place, 0);
  return false;
}

bool copy_runs(hsa_agent_t agent, void* to, const void* from, std::size_t bytes) {
  const hsa_signal_t done = signal();
  CHECK_EQUAL(hsa_amd_memory_async_copy(to, agent, from, agent, bytes, 0, nullptr, done), HSA_STATUS_SUCCESS);
  for (int i = 0; i < 10'000; ++i) {
    if (reaches_zero(done, 1'000'000)) return true;
    if (__atomic_load_n(&fault_address, __ATOMIC_ACQUIRE)) return false;
  }
  CHECK(!"neither complete nor a fault");
  return false;
}

}  // namespace

TEST(a_kernel_that_touches_another_gpus_memory_faults_and_never_completes) {
  begin_with_handler();
  CHECK(!add_runs(gpu(1), allocate(gpu(0), 1)));
}

TEST(a_kernel_touches_another_gpus_memory_after_allow_access) {
  begin_with_handler();
  int* const place = allocate(gpu(0), 1);
  const hsa_agent_t both[2] = {gpu(0), gpu(1)};
  CHECK_EQUAL(hsa_amd_agents_allow_access(2, both, nullptr, place), HSA_STATUS_SUCCESS);
  CHECK(add_runs(gpu(1), place));
  CHECK(add_runs(gpu(0), place));
  CHECK_EQUAL(*place, 2);
}

TEST(access_that_is_given_to_others_takes_the_one_before_away_but_not_the_owners) {
  begin_with_handler();
  int* const place = allocate(gpu(0), 1);
  const hsa_agent_t both[2] = {gpu(0), gpu(1)};
  CHECK_EQUAL(hsa_amd_agents_allow_access(2, both, nullptr, place), HSA_STATUS_SUCCESS);
  CHECK_EQUAL(hsa_amd_agents_allow_access(1, both, nullptr, place), HSA_STATUS_SUCCESS);
  CHECK(!add_runs(gpu(1), place));
}

TEST(host_memory_and_a_gpus_own_are_touched_without_asking) {
  begin_with_handler();
  CHECK(add_runs(gpu(1), allocate(cpu(), 1)));
  CHECK(add_runs(gpu(1), allocate(gpu(1), 1)));
  static int plain;  // of no allocation: not judged
  CHECK(add_runs(gpu(0), &plain));
}

TEST(a_pointer_in_a_structure_passed_by_value_is_seen_and_a_hidden_argument_is_not) {
  begin_with_handler();
  struct {
    int number;
    int* place;
    int* hidden;
  } arguments = {4, allocate(gpu(0), 1), allocate(gpu(1), 1)};
  TestQueue queue(gpu(0));
  const hsa_signal_t done = signal();
  queue.dispatch(kernel(gpu(0), "write_pair", {{0, 16, "by_value"}, {16, 8, "hidden_hostcall_buffer"}}),
                 &arguments, done);
  queue.ring();
  CHECK(reaches_zero(done));
  CHECK_EQUAL(*arguments.place, 4);
  TestQueue other(gpu(1));
  other.dispatch(kernel(gpu(1), "write_pair", {{0, 16, "by_value"}}), &arguments, signal());
  other.ring();
  while (!__atomic_load_n(&fault_address, __ATOMIC_ACQUIRE)) reaches_zero(signal(), 1'000'000);
  CHECK(fault_address == arguments.place);
}

TEST(a_copy_that_no_gpu_of_it_may_make_faults) {
  begin_with_handler();
  int* const own = allocate(gpu(1), 1);
  CHECK(copy_runs(gpu(1), own, allocate(cpu(), 1), sizeof(int)));
  CHECK(!copy_runs(gpu(1), own, allocate(gpu(0), 1), sizeof(int)));
}

TEST(a_copy_that_ends_in_memory_out_of_reach_faults) {
  begin_with_handler();
  char* const first = allocate<char>(gpu(0), 4096);
  char* const second = allocate<char>(gpu(0), 4096);
  CHECK(second == first + 4096);
  const hsa_agent_t both[2] = {gpu(0), gpu(1)};
  CHECK_EQUAL(hsa_amd_agents_allow_access(2, both, nullptr, first), HSA_STATUS_SUCCESS);
  char* const host = allocate<char>(cpu(), 8192);
  CHECK(copy_runs(gpu(1), host, first, 4096));
  CHECK(!copy_runs(gpu(1), host, first, 4097));
}

TEST(a_gpu_that_faulted_runs_nothing_more_and_the_other_goes_on) {
  begin_with_handler();
  CHECK(!add_runs(gpu(1), allocate(gpu(0), 1)));
  int* const own = allocate(gpu(1), 1);
  TestQueue queue(gpu(1));
  Add arguments = {own, 1};
  const hsa_signal_t never = signal();
  queue.dispatch(kernel(gpu(1), "add", kAdd), &arguments, never);
  queue.ring();
  CHECK(add_runs(gpu(0), allocate(gpu(0), 1)));
  CHECK(!reaches_zero(never, 5'000'000));
  CHECK_EQUAL(*own, 0);
}

TEST(a_fault_that_nobody_takes_care_of_ends_the_process_with_a_sentence) {
  const Ending ending = ending_of([] {
    begin();
    add_runs(gpu(1), allocate(gpu(0), 1));
  });
  CHECK(ending.aborted());
  CHECK(ending.says("memory access fault: kernel add on GPU 1 touched"));
}

TEST(virtual_memory_is_open_to_whom_set_access_names) {
  begin_with_handler();
  hsa_amd_memory_pool_t pool = {};
  const auto first = [](hsa_amd_memory_pool_t each, void* data) {
    *static_cast<hsa_amd_memory_pool_t*>(data) = each;
    return HSA_STATUS_INFO_BREAK;
  };
  hsa_amd_agent_iterate_memory_pools(gpu(0), first, &pool);
  void* address = nullptr;
  hsa_amd_vmem_alloc_handle_t physical;
  CHECK_EQUAL(hsa_amd_vmem_address_reserve(&address, 2u << 20, 0, 0), HSA_STATUS_SUCCESS);
  CHECK_EQUAL(hsa_amd_vmem_handle_create(pool, 2u << 20, MEMORY_TYPE_NONE, 0, &physical), HSA_STATUS_SUCCESS);
  CHECK_EQUAL(hsa_amd_vmem_map(address, 2u << 20, 0, physical, 0), HSA_STATUS_SUCCESS);
  const hsa_amd_memory_access_desc_t described = {HSA_ACCESS_PERMISSION_RW, gpu(0)};
  CHECK_EQUAL(hsa_amd_vmem_set_access(address, 2u << 20, &described, 1), HSA_STATUS_SUCCESS);
  hsa_access_permission_t permission;
  CHECK_EQUAL(hsa_amd_vmem_get_access(address, &permission, gpu(1)), HSA_STATUS_SUCCESS);
  CHECK_EQUAL(permission, HSA_ACCESS_PERMISSION_NONE);
  int* const place = static_cast<int*>(address);
  CHECK(add_runs(gpu(0), place));
  *place = 0;
  CHECK(!add_runs(gpu(1), place));
  CHECK_EQUAL(hsa_amd_vmem_unmap(address, 2u << 20), HSA_STATUS_SUCCESS);
  CHECK_EQUAL(hsa_amd_vmem_handle_release(physical), HSA_STATUS_SUCCESS);
  CHECK_EQUAL(hsa_amd_vmem_address_free(address, 2u << 20), HSA_STATUS_SUCCESS);
}

TEST(pointer_info_names_the_owner_and_who_has_access) {
  begin();
  char* const place = allocate<char>(gpu(0), 4096);
  hsa_amd_pointer_info_t info = {};
  info.size = sizeof info;
  std::uint32_t count = 0;
  hsa_agent_t* accessible = nullptr;
  CHECK_EQUAL(hsa_amd_pointer_info(place + 8, &info, std::malloc, &count, &accessible), HSA_STATUS_SUCCESS);
  CHECK_EQUAL(info.type, HSA_EXT_POINTER_TYPE_HSA);
  CHECK(info.agentBaseAddress == place);
  CHECK_EQUAL(info.agentOwner.handle, gpu(0).handle);
  CHECK_EQUAL(count, 1u);
  CHECK_EQUAL(accessible[0].handle, gpu(0).handle);
  std::free(accessible);
}
