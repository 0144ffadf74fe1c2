// Looks into a capture that is under way: its last node, its nodes and edges.
#pragma once

#include "hip.h"

namespace replay_fuzz {

// The node that the stream's next operation would depend on; null where there are several.
Handle last_captured_node(Handle stream);

// Prints the graph that is being captured: edges as numbers of nodes, those that go back marked.
void print_captured_graph(Handle stream);

}  // namespace replay_fuzz
