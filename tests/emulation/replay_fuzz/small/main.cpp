// The smallest cases of what the fuzzer found: small_cases LIBAMDHIP64 IMAGE CASE [OTHERS], with OTHERS streams
// made and used before. Exit status: 0 right, 2 wrong, 3 HIP refused a call, 1 not started.
#include <cstdio>
#include <cstdlib>

#include "case.h"

namespace {

using namespace replay_fuzz;

const Case* find(const std::string& name) {
  for (const auto* group : {&root_cases(), &node_cases(), &circle_cases(), &wait_cases()}) {
    for (const Case& each : *group) {
      if (each.name == name) return &each;
      if (name.empty()) std::printf("  %-10s %s\n", each.name, each.shows);
    }
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  const Case* const asked = argc >= 4 ? find(argv[3]) : nullptr;
  if (!asked) {
    std::printf("usage: small_cases LIBAMDHIP64 IMAGE CASE [OTHERS], where CASE is one of\n");
    find("");
    return kUsage;
  }
  load_hip(argv[1]);
  const Kernels kernels(load_module(argv[2]));
  for (int i = 0, others = argc > 4 ? std::atoi(argv[4]) : 0; i < others; ++i) {
    in_place(kernels, new_stream(), zeroed(kFew), 1);
  }
  const Outcome outcome = asked->run(kernels);
  std::printf("%s: %d of %d wrong\n", asked->name, outcome.wrong, outcome.of);
  leave(outcome.wrong ? kWrong : kRight);
}
