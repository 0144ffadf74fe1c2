// The library as libamdhip64 meets it: every name is there, stubs speak, and bad variables are refused.
#include <dlfcn.h>

#include <fstream>

#include "device.h"

extern "C" const char* hsa_standin_version(void);
extern "C" hsa_status_t hsa_amd_of_a_later_runtime(void);

namespace {

const char* kVariables[] = {"HSA_STANDIN_GPUS", "HSA_STANDIN_GFX", "HSA_STANDIN_OVERLAP",
                            "HSA_STANDIN_MEMORY_GIB", "HSA_STANDIN_UNKNOWN"};

Ending with(const char* variable, const char* value) {
  return ending_of([&] {
    for (const char* each : kVariables) unsetenv(each);
    set(variable, value);
    std::_Exit(hsa_init() == HSA_STATUS_SUCCESS ? 0 : 3);
  });
}

std::string name_of(hsa_agent_t agent, unsigned attribute) {
  char name[64] = {};
  CHECK_EQUAL(hsa_agent_get_info(agent, static_cast<hsa_agent_info_t>(attribute), name), HSA_STATUS_SUCCESS);
  return name;
}

}  // namespace

TEST(the_library_has_every_name_of_amds_with_its_version) {
  void* const library = dlopen(EMULATION_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  CHECK(library);
  std::ifstream names(EMULATION_NAMES);
  int count = 0;
  for (std::string name; std::getline(names, name); ++count) {
    if (!dlvsym(library, name.c_str(), "ROCR_1")) std::fprintf(stderr, "%s is missing\n", name.c_str());
    CHECK(dlvsym(library, name.c_str(), "ROCR_1"));
  }
  CHECK(count >= 260);
  CHECK(!dlsym(library, "hsa_of_nobody"));
}

TEST(the_library_says_that_it_is_the_emulator) { CHECK(hsa_standin_version()[0] != '\0'); }

TEST(a_function_that_is_not_emulated_says_so_once_and_refuses) {
  const Ending ending = ending_of([] {
    CHECK_EQUAL(hsa_amd_spm_acquire({0}), HSA_STATUS_ERROR);
    CHECK_EQUAL(hsa_amd_spm_acquire({0}), HSA_STATUS_ERROR);
  });
  CHECK(ending.exited(0));
  const std::size_t first = ending.text.find("hsa_amd_spm_acquire is not emulated");
  CHECK(first != std::string::npos);
  CHECK(ending.text.find("hsa_amd_spm_acquire", first + 1) == std::string::npos);
}

TEST(a_name_that_is_given_when_it_is_built_becomes_a_stub) {
  const Ending ending = ending_of([] { CHECK_EQUAL(hsa_amd_of_a_later_runtime(), HSA_STATUS_ERROR); });
  CHECK(ending.exited(0));
  CHECK(ending.says("hsa_amd_of_a_later_runtime is not emulated"));
}

TEST(a_bad_value_is_one_sentence_and_no_device) {
  const char* const bad[][2] = {
      {"HSA_STANDIN_GPUS", "abc"},     {"HSA_STANDIN_GPUS", "99"},
      {"HSA_STANDIN_GPUS", "-1"},      {"HSA_STANDIN_GPUS", "99999999999999999999999"},
      {"HSA_STANDIN_GFX", "banana"},   {"HSA_STANDIN_GFX", "gfx"},
      {"HSA_STANDIN_GFX", "gfx94x"},   {"HSA_STANDIN_OVERLAP", "x"},
      {"HSA_STANDIN_MEMORY_GIB", "0"}, {"HSA_STANDIN_UNKNOWN", "maybe"}};
  for (const auto& each : bad) {
    const Ending ending = with(each[0], each[1]);
    CHECK(ending.exited(3));
    CHECK(ending.says((std::string(each[0]) + "=" + each[1] + " cannot be used").c_str()));
    CHECK(ending.text.find('\n') == ending.text.size() - 1);
  }
}

TEST(good_values_are_taken) {
  const char* const good[][2] = {{"HSA_STANDIN_GPUS", "16"},
                                 {"HSA_STANDIN_GFX", "gfx950"},
                                 {"HSA_STANDIN_GFX", "gfx90a"},
                                 {"HSA_STANDIN_GFX", "gfx1100"},
                                 {"HSA_STANDIN_OVERLAP", "18446744073709551615"},
                                 {"HSA_STANDIN_UNKNOWN", "skip"}};
  for (const auto& each : good) {
    const Ending ending = with(each[0], each[1]);
    CHECK(ending.exited(0));
    CHECK(ending.text.empty());
  }
}

TEST(no_gpu_at_all_is_as_on_a_host_without_one) {
  set("HSA_STANDIN_GPUS", "0");
  CHECK_EQUAL(hsa_init(), HSA_STATUS_ERROR_OUT_OF_RESOURCES);
}

TEST(gpus_have_the_name_and_architecture_that_were_asked_for) {
  set("HSA_STANDIN_GPUS", "3");
  set("HSA_STANDIN_GFX", "gfx950");
  begin();
  CHECK_EQUAL(agents().size(), 4u);
  CHECK(name_of(gpu(2), HSA_AGENT_INFO_NAME) == "gfx950");
  CHECK(name_of(gpu(2), HSA_AMD_AGENT_INFO_PRODUCT_NAME) == "Emulated GPU: HSA on a CPU as gfx950");
}

TEST(there_are_two_gpus_of_gfx942_where_nothing_is_asked_for) {
  begin();
  CHECK_EQUAL(agents().size(), 3u);
  CHECK(name_of(gpu(0), HSA_AGENT_INFO_NAME) == "gfx942");
}

TEST(a_trace_has_a_line_for_each_packet) {
  char path[] = "/tmp/emulation-trace-XXXXXX";
  CHECK(close(mkstemp(path)) == 0);
  set("HSA_STANDIN_TRACE", path);
  begin();
  const hsa_signal_t done = signal();
  {
    TestQueue queue(gpu(0));
    queue.wait_for(HSA_PACKET_TYPE_BARRIER_OR, {}, done);
    queue.ring();
    CHECK(reaches_zero(done));
  }
  std::ifstream file(path);
  std::string line;
  CHECK(std::getline(file, line) && line.find("q1 0 OR b1") == 0);
  CHECK(!std::getline(file, line));
  unlink(path);
}
