#include "graph.h"

#include <cstdio>

#include "graph_view.h"

namespace replay_fuzz {
namespace {

long captured_so_far = 0;

struct Dim3 {
  u32 x, y, z;
};

// As hipKernelNodeParams.
struct KernelNodeParameters {
  Dim3 block;
  void** extra;
  void* function;
  Dim3 grid;
  void** arguments;
  u32 shared_bytes;
};

struct Captured {
  Handle graph = nullptr;
  std::vector<Handle> nodes;
};

Captured capture(const Program& program, const Memory& memory, const Device& device, const Options& options) {
  Captured made;
  hip("hipStreamBeginCapture", device.capturer, static_cast<int>(options.capture_mode));
  Issued issued = issue(program, memory, device, options, device.capturer, true);
  if (options.edges) print_captured_graph(device.capturer);
  hip("hipStreamEndCapture", device.capturer, &made.graph);
  for (const Handle event : issued.events) hip("hipEventDestroy", event);
  made.nodes = std::move(issued.nodes);
  captured_so_far += static_cast<long>(program.operations.size());
  return made;
}

// The children run one after the other.
Handle with_children(const std::vector<Handle>& children) {
  Handle whole = nullptr, before = nullptr;
  hip("hipGraphCreate", &whole, 0u);
  for (const Handle child : children) {
    Handle node = nullptr;
    hip("hipGraphAddChildGraphNode", &node, whole, before ? &before : nullptr, std::size_t(before ? 1 : 0),
        child);
    before = node;
  }
  return whole;
}

}  // namespace

long captured_operations() { return captured_so_far; }

void make_executable(Graph& graph, const Memory& memory, const Device& device, const Options& options,
                     Random& random) {
  graph.captured.clear();
  for (const Program& part : graph.programs.parts) {
    Captured made = capture(part, memory, device, options);
    if (graph.captured.empty()) graph.nodes = std::move(made.nodes);
    graph.captured.push_back(made.graph);
  }
  graph.whole = graph.programs.children ? with_children(graph.captured) : graph.captured[0];
  graph.exec = instantiate(graph.whole);
  if (options.upload && random.chance(50)) hip("hipGraphUpload", graph.exec, device.launchers[0]);
}

void destroy(Graph& graph) {
  hip("hipGraphExecDestroy", graph.exec);
  if (graph.programs.children) hip("hipGraphDestroy", graph.whole);
  for (const Handle captured : graph.captured) hip("hipGraphDestroy", captured);
}

void set_parameters(Graph& graph, const Memory& memory, const Options& options, Random& random) {
  std::vector<Operation>& operations = graph.programs.parts[0].operations;
  const u32 many = 1 + random.below(4);
  for (u32 k = 0; k < many; ++k) {
    const u32 i = random.below(static_cast<u32>(operations.size()));
    if (!operations[i].is_kernel() || graph.programs.children) continue;
    if (!options.eager && !graph.nodes[i]) continue;
    operations[i].word = random.word();
    if (options.eager) continue;
    Arguments given(operations[i], memory);
    KernelNodeParameters parameters{};
    hip("hipGraphKernelNodeGetParams", graph.nodes[i], &parameters);
    parameters.arguments = given.list;
    parameters.extra = nullptr;
    hip("hipGraphExecKernelNodeSetParams", graph.exec, graph.nodes[i],
        static_cast<const KernelNodeParameters*>(&parameters));
  }
}

void update_whole(Graph& graph, const Memory& memory, const Device& device, const Options& options,
                  Random& random) {
  for (Operation& operation : graph.programs.parts[0].operations) {
    if (operation.is_kernel() && random.chance(30)) operation.word = random.word();
  }
  if (options.eager) return;
  const Captured fresh = capture(graph.programs.parts[0], memory, device, options);
  Handle error_node = nullptr;
  int result = 0;
  hip("hipGraphExecUpdate", graph.exec, fresh.graph, &error_node, &result);
  if (result) refused("hipGraphExecUpdate (its result)", result);
  hip("hipGraphDestroy", fresh.graph);
}

}  // namespace replay_fuzz
