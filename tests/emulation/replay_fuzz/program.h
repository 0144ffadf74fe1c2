// A program: operations on several streams, in an order and with waits that exclude data races.
#pragma once

#include <vector>

#include "operation.h"

namespace replay_fuzz {

struct Program {
  int streams = 1;
  std::vector<Operation> operations;
  Touched touched;
};

Program draw_program(Random& random, const Options& options, const Memory& memory,
                     const std::vector<int>& buffers, int operations, int streams);

// The programs of one graph: one, or those of its child graphs in their order.
struct Programs {
  std::vector<Program> parts;
  bool children = false;
  Touched touched;
  long size() const;
};

std::vector<Programs> draw_graphs(Random& random, const Options& options, const Memory& memory);

}  // namespace replay_fuzz
