// The smallest cases of what the fuzzer found: small_cases LIBAMDHIP64 IMAGE CASE [OTHERS], with OTHERS streams
// made and used before. Exit status: 0 right, 2 wrong, 3 HIP refused a call, 1 not started.
#include <cstdio>
#include <cstdlib>

#include "case.h"

namespace {

using namespace replay_fuzz;

const Case* find(const std::string& name) {
  for (const auto* group :
       {&root_cases(), &node_cases(), &wait_cases(), &circle_cases(), &fat_binary_cases()}) {
    for (const Case& each : *group) {
      if (each.name == name) return &each;
      if (name.empty()) std::printf("  %-10s %s\n", each.name, each.shows);
    }
  }
  return nullptr;
}

// Each takes a hardware queue, so the streams of the case share other ones.
void use_streams(const Kernels& kernels, int count) {
  for (int i = 0; i < count; ++i) in_place(kernels, new_stream(), zeroed(kFew), 1);
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
  const Image image = read_image(argv[2]);
  if (argc > 4) use_streams(Kernels(image), std::atoi(argv[4]));
  const Outcome outcome = asked->run(image);
  std::printf("%s: %d of %d wrong\n", asked->name, outcome.wrong, outcome.of);
  leave(outcome.wrong ? kWrong : kRight);
}
