// HIP's own kernels: it compiles them at its first copy, from source text inside libamdhip64. Their arguments
// are those of that text (7.2.4 and 6.4.3); what the functions that it calls do is AMD's amdblit.cl (ROCm's
// device libraries), read for facts. How a GPU shares the work out among work-items makes no difference here.
#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels.h"

namespace emulation {
namespace {

template <class T>
T argument(const Launch& launch, std::size_t offset) {
  T value;
  std::memcpy(&value, static_cast<const char*>(launch.kernarg) + offset, sizeof value);
  return value;
}

// (source, destination, bytes, ...)
void copy_buffer(const Launch* launch) {
  std::memmove(argument<void*>(*launch, 8), argument<void*>(*launch, 0),
               argument<std::uint64_t>(*launch, 16));
}

// (source, destination, source's start, destination's start, units, bytes of a unit if 16, else 4)
void copy_aligned(const Launch* launch) {
  const std::uint64_t unit = argument<std::uint32_t>(*launch, 40) == 16 ? 16 : 4;
  std::memmove(argument<char*>(*launch, 8) + argument<std::uint64_t>(*launch, 24) * unit,
               argument<const char*>(*launch, 0) + argument<std::uint64_t>(*launch, 16) * unit,
               argument<std::uint64_t>(*launch, 32) * unit);
}

// (source, destination, then four numbers each: source and destination as row pitch, slice pitch and start;
// the size as width, height and depth), all in units of so many bytes.
void copy_rows(const Launch& launch, std::uint64_t unit) {
  struct Four {
    std::uint64_t a, b, c, d;
  };
  const auto from = argument<Four>(launch, 32), to = argument<Four>(launch, 64),
             size = argument<Four>(launch, 96);
  const char* const source = argument<const char*>(launch, 0);
  char* const destination = argument<char*>(launch, 8);
  for (std::uint64_t z = 0; z < size.c; ++z) {
    for (std::uint64_t y = 0; y < size.b; ++y) {
      std::memmove(destination + (to.c + y * to.a + z * to.b) * unit,
                   source + (from.c + y * from.a + z * from.b) * unit, size.a * unit);
    }
  }
}

void copy_rect(const Launch* launch) { copy_rows(*launch, 1); }

// The fourth number of the size is the unit if it is 16, else that is 4.
void copy_rect_aligned(const Launch* launch) {
  copy_rows(*launch, argument<std::uint64_t>(*launch, 120) == 16 ? 16 : 4);
}

// (buffer, pattern, elements in the pattern, bytes of an element, end address, ...)
void fill_buffer(const Launch* launch) {
  char* const buffer = argument<char*>(*launch, 0);
  const char* const pattern = argument<const char*>(*launch, 8);
  const std::size_t bytes =
      std::size_t{argument<std::uint32_t>(*launch, 16)} * argument<std::uint32_t>(*launch, 20);
  char* const end = argument<char*>(*launch, 24);
  for (char* at = buffer; at < end; at += bytes) {
    std::memcpy(at, pattern, std::min<std::size_t>(bytes, static_cast<std::size_t>(end - at)));
  }
}

// (the buffer as four pointers, to elements of 1, 2, 4 and 8 bytes, of which the widest that is not null
// counts; pattern, elements in the pattern, start, width, height, pitch, all in elements). Work-item x writes
// the pattern at element x of its row.
void fill_rows(const Launch* launch) {
  char* buffer = nullptr;
  std::size_t bytes = 0;
  for (const std::size_t width : {8, 4, 2, 1}) {
    const std::size_t place = width == 8 ? 24 : width == 4 ? 16 : width == 2 ? 8 : 0;
    if (buffer) break;
    buffer = argument<char*>(*launch, place);
    bytes = width;
  }
  const char* const pattern = argument<const char*>(*launch, 32);
  const std::size_t size = argument<std::uint32_t>(*launch, 40) * bytes;
  const auto start = argument<std::uint64_t>(*launch, 48), width = argument<std::uint64_t>(*launch, 56),
             height = argument<std::uint64_t>(*launch, 64), pitch = argument<std::uint64_t>(*launch, 72);
  for (std::uint64_t y = 0; y < std::min<std::uint64_t>(height, launch->items.y); ++y) {
    for (std::uint64_t x = 0; x < std::min<std::uint64_t>(width, launch->items.x); ++x) {
      std::memcpy(buffer + (start + y * pitch + x) * bytes, pattern, size);
    }
  }
}

void write_value(std::uint32_t* narrow, std::uint64_t* wide, std::uint64_t value) {
  if (narrow) {
    __atomic_store_n(narrow, static_cast<std::uint32_t>(value), __ATOMIC_SEQ_CST);
  } else {
    __atomic_store_n(wide, value, __ATOMIC_SEQ_CST);
  }
}

// Conditions as hipStreamWaitValue names them: 0 at least, 1 equal, 2 a bit in common, 3 a bit in neither.
// The first compares as unsigned numbers.
void await_value(const std::uint32_t* narrow, const std::uint64_t* wide, std::uint64_t value,
                 std::uint64_t condition, std::uint64_t mask) {
  if (narrow) {
    value = static_cast<std::uint32_t>(value);
    mask = static_cast<std::uint32_t>(mask);
  }
  for (;;) {
    const std::uint64_t have =
        narrow ? __atomic_load_n(narrow, __ATOMIC_SEQ_CST) : __atomic_load_n(wide, __ATOMIC_SEQ_CST);
    const bool met = condition == 0   ? (have & mask) >= value
                     : condition == 1 ? (have & mask) == value
                     : condition == 2 ? (have & mask & value) != 0
                                      : ((have | value) & mask) != mask;
    if (met) return;
    sched_yield();
  }
}

// (32-bit place, 64-bit place, value): one of the places is null.
void stream_write(const Launch* launch) {
  write_value(argument<std::uint32_t*>(*launch, 0), argument<std::uint64_t*>(*launch, 8),
              argument<std::uint64_t>(*launch, 16));
}

// (32-bit place, 64-bit place, value, condition, mask)
void stream_wait(const Launch* launch) {
  await_value(argument<std::uint32_t*>(*launch, 0), argument<std::uint64_t*>(*launch, 8),
              argument<std::uint64_t>(*launch, 16), argument<std::uint64_t>(*launch, 24),
              argument<std::uint64_t>(*launch, 32));
}

// (operations, their number): hipStreamBatchMemOp's parameters as they are in HIP's public header, in order.
void batch(const Launch* launch) {
  struct Operation {
    std::uint32_t type;
    void* place;
    std::uint64_t value;
    std::uint32_t condition;
    void* alias;
    std::uint64_t rest;
  };
  static_assert(sizeof(Operation) == 48);
  const auto* const all = argument<const Operation*>(*launch, 0);
  for (std::uint32_t i = 0; i < argument<std::uint32_t>(*launch, 8); ++i) {
    auto* const narrow = static_cast<std::uint32_t*>(all[i].place);
    auto* const wide = static_cast<std::uint64_t*>(all[i].place);
    switch (all[i].type) {
      case 1: await_value(narrow, nullptr, all[i].value, all[i].condition, UINT32_MAX); break;
      case 2: write_value(narrow, nullptr, all[i].value); break;
      case 4: await_value(nullptr, wide, all[i].value, all[i].condition, UINT64_MAX); break;
      case 5: write_value(nullptr, wide, all[i].value); break;
      default: break;  // flushes and barriers: every write above is sequentially consistent
    }
  }
}

void nothing(const Launch*) {}

struct Own {
  const char* name;
  Run run;
};

constexpr Own kOwn[] = {
    {"__amd_rocclr_copyBuffer", copy_buffer},
    {"__amd_rocclr_copyBufferAligned", copy_aligned},
    {"__amd_rocclr_copyBufferRect", copy_rect},
    {"__amd_rocclr_copyBufferRectAligned", copy_rect_aligned},
    {"__amd_rocclr_fillBufferAligned", fill_buffer},
    {"__amd_rocclr_fillBufferAligned2D", fill_rows},
    {"__amd_rocclr_streamOpsWrite", stream_write},
    {"__amd_rocclr_streamOpsWait", stream_wait},
    {"__amd_rocclr_batchMemOp", batch},
    {"__amd_rocclr_initHeap", nothing},  // of device-side malloc, which no kernel here calls
    {"__amd_rocclr_gwsInit", nothing},   // of barriers of a whole grid, which no kernel here waits at
};

}  // namespace

Run own_kernel(const char* name) {
  for (const Own& own : kOwn) {
    if (std::strcmp(own.name, name) == 0) return own.run;
  }
  return nullptr;
}

}  // namespace emulation
