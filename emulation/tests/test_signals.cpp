// Signals: every way to wait, every operation, handlers.
#include <thread>

#include "device.h"

TEST(a_wait_ends_when_another_thread_makes_the_condition_true) {
  begin();
  const hsa_signal_t one = signal(5);
  std::thread other([&] { hsa_signal_subtract_screlease(one, 5); });
  CHECK_EQUAL(hsa_signal_wait_scacquire(one, HSA_SIGNAL_CONDITION_EQ, 0, UINT64_MAX, HSA_WAIT_STATE_BLOCKED),
              0);
  other.join();
}

TEST(a_wait_ends_at_its_timeout_with_the_value_that_is_there) {
  begin();
  CHECK_EQUAL(
      hsa_signal_wait_relaxed(signal(7), HSA_SIGNAL_CONDITION_LT, 1, 2'000'000, HSA_WAIT_STATE_ACTIVE), 7);
  CHECK(!reaches_zero(signal(1), 2'000'000));
}

TEST(a_wait_sees_a_value_that_is_written_past_the_library) {
  begin();
  const hsa_signal_t one = signal(1);
  volatile hsa_signal_value_t* place = nullptr;
  CHECK_EQUAL(hsa_amd_signal_value_pointer(one, &place), HSA_STATUS_SUCCESS);
  std::thread other([&] { __atomic_store_n(place, 0, __ATOMIC_RELEASE); });
  CHECK(reaches_zero(one));
  other.join();
}

TEST(every_condition_is_the_one_that_the_interface_names) {
  begin();
  const auto met = [](hsa_signal_condition_t condition, hsa_signal_value_t have) {
    hsa_signal_t one = signal(have);
    hsa_signal_value_t want = 3;
    return hsa_amd_signal_wait_any(1, &one, &condition, &want, 0, HSA_WAIT_STATE_ACTIVE, nullptr) == 0;
  };
  CHECK(met(HSA_SIGNAL_CONDITION_EQ, 3) && !met(HSA_SIGNAL_CONDITION_EQ, 4));
  CHECK(met(HSA_SIGNAL_CONDITION_NE, 4) && !met(HSA_SIGNAL_CONDITION_NE, 3));
  CHECK(met(HSA_SIGNAL_CONDITION_LT, 2) && !met(HSA_SIGNAL_CONDITION_LT, 3));
  CHECK(met(HSA_SIGNAL_CONDITION_GTE, 3) && !met(HSA_SIGNAL_CONDITION_GTE, 2));
}

TEST(every_operation_changes_the_value_as_its_name_says) {
  begin();
  const hsa_signal_t one = signal(12);
  hsa_signal_add_relaxed(one, 3);
  CHECK_EQUAL(hsa_signal_load_relaxed(one), 15);
  hsa_signal_subtract_acquire(one, 1);
  CHECK_EQUAL(hsa_signal_load_scacquire(one), 14);
  hsa_signal_and_relaxed(one, 6);
  CHECK_EQUAL(hsa_signal_load_relaxed(one), 6);
  hsa_signal_or_relaxed(one, 8);
  CHECK_EQUAL(hsa_signal_load_relaxed(one), 14);
  hsa_signal_xor_relaxed(one, 15);
  CHECK_EQUAL(hsa_signal_load_relaxed(one), 1);
  CHECK_EQUAL(hsa_signal_exchange_scacq_screl(one, 9), 1);
  CHECK_EQUAL(hsa_signal_cas_scacq_screl(one, 8, 2), 9);
  CHECK_EQUAL(hsa_signal_load_relaxed(one), 9);
  CHECK_EQUAL(hsa_signal_cas_relaxed(one, 9, 2), 9);
  CHECK_EQUAL(hsa_signal_load_relaxed(one), 2);
}

TEST(wait_any_names_the_signal_that_changed) {
  begin();
  hsa_signal_t all[3] = {signal(), signal(), signal()};
  hsa_signal_condition_t conditions[3] = {HSA_SIGNAL_CONDITION_EQ, HSA_SIGNAL_CONDITION_EQ,
                                          HSA_SIGNAL_CONDITION_EQ};
  hsa_signal_value_t wanted[3] = {}, value = -1;
  CHECK_EQUAL(hsa_amd_signal_wait_any(3, all, conditions, wanted, 2'000'000, HSA_WAIT_STATE_BLOCKED, &value),
              UINT32_MAX);
  std::thread other([&] { hsa_signal_store_screlease(all[1], 0); });
  CHECK_EQUAL(hsa_amd_signal_wait_any(3, all, conditions, wanted, UINT64_MAX, HSA_WAIT_STATE_BLOCKED, &value),
              1u);
  CHECK_EQUAL(value, 0);
  other.join();
}

extern "C" std::uint32_t hsa_amd_signal_wait_all(std::uint32_t, hsa_signal_t*, hsa_signal_condition_t*,
                                                 hsa_signal_value_t*, std::uint64_t, hsa_wait_state_t,
                                                 hsa_signal_value_t*);

TEST(wait_all_waits_for_the_last) {
  begin();
  hsa_signal_t all[2] = {signal(), signal()};
  hsa_signal_condition_t conditions[2] = {HSA_SIGNAL_CONDITION_EQ, HSA_SIGNAL_CONDITION_EQ};
  hsa_signal_value_t wanted[2] = {}, values[2] = {-1, -1};
  hsa_signal_store_screlease(all[0], 0);
  CHECK_EQUAL(hsa_amd_signal_wait_all(2, all, conditions, wanted, 2'000'000, HSA_WAIT_STATE_BLOCKED, values),
              UINT32_MAX);
  std::thread other([&] { hsa_signal_store_screlease(all[1], 0); });
  CHECK_EQUAL(hsa_amd_signal_wait_all(2, all, conditions, wanted, UINT64_MAX, HSA_WAIT_STATE_BLOCKED, values),
              0u);
  CHECK_EQUAL(values[0] + values[1], 0);
  other.join();
}

TEST(a_handler_is_called_when_its_condition_holds_and_again_where_it_asks_for_it) {
  begin();
  static hsa_signal_t watched, done;
  watched = signal(1);
  done = signal(2);
  const auto handler = [](hsa_signal_value_t value, void* data) {
    CHECK_EQUAL(value, 0);
    CHECK(data == &watched);
    hsa_signal_subtract_screlease(done, 1);
    return hsa_signal_load_scacquire(done) > 0;  // once more
  };
  CHECK_EQUAL(hsa_amd_signal_async_handler(watched, HSA_SIGNAL_CONDITION_LT, 1, handler, &watched),
              HSA_STATUS_SUCCESS);
  CHECK_EQUAL(hsa_signal_load_relaxed(done), 2);
  hsa_signal_store_screlease(watched, 0);
  CHECK(reaches_zero(done));
}
