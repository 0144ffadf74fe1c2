// Random HIP graphs, replayed and compared with a model on the host.
//
// replay_fuzz LIBAMDHIP64 IMAGE SEED [NAME=NUMBER...]
//
// Everything it does is free of data races by HIP's rules, so any other outcome than the model's is a fault of
// what lies below it. Exit status: 0 right, 2 wrong, 3 HIP refused a call, 1 not started.
#include <cstdio>
#include <cstdlib>

#include "session.h"

int main(int argc, char** argv) {
  using namespace replay_fuzz;
  if (argc < 4) {
    std::printf("usage: replay_fuzz LIBAMDHIP64 IMAGE SEED [NAME=NUMBER...]; options.h has the names\n");
    return kUsage;
  }
  const Options options = parse_options(std::strtoull(argv[3], nullptr, 10), argc, argv, 4);
  load_hip(argv[1]);
  hip("hipInit", 0u);
  Session(argv[2], options).run();
  leave(kRight);
}
