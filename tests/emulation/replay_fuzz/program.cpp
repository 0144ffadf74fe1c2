#include "program.h"

#include <algorithm>

#include "order.h"

namespace replay_fuzz {
namespace {

// A part of the buffers, so that graphs may run beside each other. Two of them must be the device's.
std::vector<int> draw_buffers(Random& random, const Options& options, const Memory& memory) {
  const auto on_the_device = [&](int buffer) { return memory.buffers[buffer].on_the_device; };
  std::vector<int> mine = memory.all_buffers();
  if (!options.llm && random.chance(50)) {
    std::shuffle(mine.begin(), mine.end(), random.engine());
    mine.resize(std::max<std::size_t>(2, mine.size() / 2));
    if (std::none_of(mine.begin(), mine.end(), on_the_device)) mine.push_back(0);
  }
  if (std::count_if(mine.begin(), mine.end(), on_the_device) < 2) return memory.all_buffers();
  return mine;
}

int draw_graph_count(Random& random, const Options& options) {
  return static_cast<int>(options.llm ? 20 + random.below(41) : 1 + random.below(6));
}

int draw_most_nodes(Random& random, const Options& options) {
  if (options.llm) return random.chance(30) ? 600 : 250;
  if (random.chance(25)) return 2000;
  return random.chance(50) ? 300 : 40;
}

}  // namespace

Program draw_program(Random& random, const Options& options, const Memory& memory,
                     const std::vector<int>& buffers, int operations, int streams) {
  Program program;
  program.streams = streams;
  Order order(streams);
  int stream = 0;
  for (int i = 0; i < operations; ++i) {
    if (random.chance(30)) stream = static_cast<int>(random.below(static_cast<u32>(streams)));
    if (i == 0 && options.one_root) stream = 0;
    Operation next = draw_operation(random, options, memory, buffers, stream, options.llm != 0);
    const Touched touches = touched(next);
    // A side stream waits only for the first stream and for side streams before it: HIP's EndCapture does
    // not come back from side streams that wait for each other in a circle.
    if (stream != 0 && !options.circles) {
      Order would_be = order;
      for (const int wait : would_be.add(stream, touches)) {
        if (order.stream_of(wait) > stream) next.stream = 0;
      }
      stream = next.stream;
    }
    next.waits = order.add(stream, touches);
    for (const int wait : next.waits) program.operations[wait].recorded = true;
    program.touched.add(touches);
    program.operations.push_back(std::move(next));
  }
  return program;
}

long Programs::size() const {
  long all = 0;
  for (const Program& part : parts) all += static_cast<long>(part.operations.size());
  return all;
}

std::vector<Programs> draw_graphs(Random& random, const Options& options, const Memory& memory) {
  // Drawn even where they are given: an option does not change what the seed draws after it.
  const int drawn_count = draw_graph_count(random, options), drawn_most = draw_most_nodes(random, options);
  const int most = options.nodes >= 0 ? static_cast<int>(options.nodes) : drawn_most;
  std::vector<Programs> graphs(options.graphs >= 0 ? options.graphs : drawn_count);
  for (Programs& graph : graphs) {
    graph.children = !options.llm && options.children && random.chance(20);
    const int parts = graph.children ? 1 + static_cast<int>(random.below(4)) : 1;
    const std::vector<int> buffers = draw_buffers(random, options, memory);
    for (int part = 0; part < parts; ++part) {
      int operations = 0, streams = 1;
      if (options.llm) {
        operations = most * 9 / 10 + static_cast<int>(random.below(static_cast<u32>(most / 10 + 1)));
        streams = random.chance(30) ? 2 : 1;
      } else {
        operations = std::max(10, static_cast<int>(random.below(static_cast<u32>(most))) / parts);
        streams = 1 + static_cast<int>(random.below(static_cast<u32>(options.streams)));
      }
      graph.parts.push_back(draw_program(random, options, memory, buffers, operations, streams));
      graph.touched.add(graph.parts.back().touched);
    }
  }
  return graphs;
}

}  // namespace replay_fuzz
