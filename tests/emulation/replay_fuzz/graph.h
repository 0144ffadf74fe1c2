// A graph: its programs captured, put together, and made executable.
#pragma once

#include <vector>

#include "issue.h"

namespace replay_fuzz {

struct Graph {
  Programs programs;
  std::vector<Handle> nodes;     // of the kernels of the first program, null where there is no single one
  std::vector<Handle> captured;  // a graph for each program
  Handle whole = nullptr;        // the captured graph, or the one that has them as children
  Handle exec = nullptr;
};

// A number of what was captured so far, for the last line that the fuzzer prints.
long captured_operations();

// Captures all programs of the graph and makes it executable. With `random`, it may be uploaded as well.
void make_executable(Graph& graph, const Memory& memory, const Device& device, const Options& options,
                     Random& random);
void destroy(Graph& graph);

// New words for some kernels of the first program: set in the executable graph, or captured afresh and updated.
void set_parameters(Graph& graph, const Memory& memory, const Options& options, Random& random);
void update_whole(Graph& graph, const Memory& memory, const Device& device, const Options& options,
                  Random& random);

}  // namespace replay_fuzz
