// What a run may do: read once from NAME=NUMBER words, then never changed.
#pragma once

#include <cstdint>

namespace replay_fuzz {

// -1 in `graphs` and `nodes`: drawn from the seed.
struct Options {
  std::uint64_t seed = 0;
  // The shape of the graphs.
  long graphs = -1;   // how many
  long nodes = -1;    // at most so many in each
  long streams = 4;   // at most so many in a capture
  long one_root = 0;  // 1: the side streams fork behind the first node, never before it
  long circles = 0;   // 1: side streams may wait for each other in a circle
  long children = 1;  // 1: some graphs consist of child graphs
  long llm = 0;       // 1: as a server has them: many long chains of kernels, few streams, warm-ups
  // The nodes.
  long copies = 1;    // copies, from pageable memory too, and memsets
  long pageable = 1;  // copies from pageable memory
  long memset = 1;
  long large = 1;     // some buffers of more than 256 KiB
  // What happens between replays.
  long steps = 400;        // at most so many
  long budget = 15000;     // at most so many nodes launched
  long set_params = 1;     // hipGraphExecKernelNodeSetParams
  long exec_update = 1;    // hipGraphExecUpdate
  long again = 1;          // an executable graph is destroyed, captured and made again
  long async_update = 0;   // 1: those updates also while the graph may be running
  long async_destroy = 0;  // 1: destroyed while it may be running
  long upload = 0;         // 1: hipGraphUpload after some instantiations
  // How it is issued.
  long eager = 0;          // 1: no capture at all; the same work by plain launches
  long extra = 0;          // so many further streams take hardware queues first
  long null_stream = 0;    // 1: one of the launching streams is the null stream
  long capture_mode = 0;   // 0 global, 1 thread-local, 2 relaxed
  long destroy_early = 0;  // 1: events of a capture are destroyed before it ends
  // What it prints.
  long talk = 0;   // 1: each step and operation
  long edges = 0;  // 1: each captured graph
};

// From argv[first] on. A word that is no option ends the process with kUsage and the options' names.
Options parse_options(std::uint64_t seed, int argc, char** argv, int first);

}  // namespace replay_fuzz
