// The calls on a queue's read and write index, in every memory order that the interface names; all are
// sequentially consistent here.
#include "hsa_interface.h"

namespace {

// A hsa_queue_t is the first part of AMD's public amd_queue_t, which holds the indexes.
amd_queue_t& shared(const hsa_queue_t* queue) {
  return *reinterpret_cast<amd_queue_t*>(const_cast<hsa_queue_t*>(queue));
}

std::uint64_t* reading(const hsa_queue_t* queue) {
  return const_cast<std::uint64_t*>(&shared(queue).read_dispatch_id);
}

std::uint64_t* writing(const hsa_queue_t* queue) {
  return const_cast<std::uint64_t*>(&shared(queue).write_dispatch_id);
}

}  // namespace

#define LOAD(order)                                                            \
  std::uint64_t hsa_queue_load_read_index_##order(const hsa_queue_t* queue) {  \
    return __atomic_load_n(reading(queue), __ATOMIC_SEQ_CST);                  \
  }                                                                            \
  std::uint64_t hsa_queue_load_write_index_##order(const hsa_queue_t* queue) { \
    return __atomic_load_n(writing(queue), __ATOMIC_SEQ_CST);                  \
  }

#define STORE(order)                                                                        \
  void hsa_queue_store_read_index_##order(const hsa_queue_t* queue, std::uint64_t value) {  \
    __atomic_store_n(reading(queue), value, __ATOMIC_SEQ_CST);                              \
  }                                                                                         \
  void hsa_queue_store_write_index_##order(const hsa_queue_t* queue, std::uint64_t value) { \
    __atomic_store_n(writing(queue), value, __ATOMIC_SEQ_CST);                              \
  }

#define CHANGE(order)                                                                               \
  std::uint64_t hsa_queue_add_write_index_##order(const hsa_queue_t* queue, std::uint64_t value) {  \
    return __atomic_fetch_add(writing(queue), value, __ATOMIC_SEQ_CST);                             \
  }                                                                                                 \
  std::uint64_t hsa_queue_cas_write_index_##order(const hsa_queue_t* queue, std::uint64_t expected, \
                                                  std::uint64_t value) {                            \
    __atomic_compare_exchange_n(writing(queue), &expected, value, false, __ATOMIC_SEQ_CST,          \
                                __ATOMIC_SEQ_CST);                                                  \
    return expected;                                                                                \
  }

extern "C" {

LOAD(relaxed)
LOAD(acquire)
LOAD(scacquire)
STORE(relaxed)
STORE(release)
STORE(screlease)
CHANGE(relaxed)
CHANGE(acquire)
CHANGE(release)
CHANGE(acq_rel)
CHANGE(scacquire)
CHANGE(screlease)
CHANGE(scacq_screl)
}

#undef LOAD
#undef STORE
