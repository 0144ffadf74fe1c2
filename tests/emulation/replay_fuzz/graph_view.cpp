#include "graph_view.h"

#include <cstdio>
#include <map>
#include <vector>

namespace replay_fuzz {
namespace {

struct Capture {
  int status = 0;
  unsigned long long id = 0;
  Handle graph = nullptr;
  Handle* last_nodes = nullptr;
  std::size_t last_count = 0;
};

Capture capture_of(Handle stream) {
  Capture found;
  hip("hipStreamGetCaptureInfo_v2", stream, &found.status, &found.id, &found.graph,
      static_cast<const Handle**>(static_cast<void*>(&found.last_nodes)), &found.last_count);
  return found;
}

}  // namespace

Handle last_captured_node(Handle stream) {
  const Capture capture = capture_of(stream);
  return capture.last_count == 1 ? capture.last_nodes[0] : nullptr;
}

void print_captured_graph(Handle stream) {
  const Handle graph = capture_of(stream).graph;
  Handle* const only_count = nullptr;
  std::size_t node_count = 0, edge_count = 0;
  hip("hipGraphGetNodes", graph, only_count, &node_count);
  std::vector<Handle> nodes(node_count);
  hip("hipGraphGetNodes", graph, nodes.data(), &node_count);
  hip("hipGraphGetEdges", graph, only_count, only_count, &edge_count);
  std::vector<Handle> from(edge_count), to(edge_count);
  hip("hipGraphGetEdges", graph, from.data(), to.data(), &edge_count);
  std::map<Handle, std::size_t> number;
  for (std::size_t i = 0; i < node_count; ++i) number[nodes[i]] = i;
  std::printf("graph of %zu nodes, %zu edges:", node_count, edge_count);
  for (std::size_t i = 0; i < edge_count; ++i) {
    const std::size_t a = number[from[i]], b = number[to[i]];
    std::printf(" %zu-%zu%s", a, b, a >= b ? "(!)" : "");
  }
  std::printf("\n");
}

}  // namespace replay_fuzz
