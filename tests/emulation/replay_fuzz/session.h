// A run: graphs, eager operations and changes in an order that the seed draws, compared with the model.
#pragma once

#include "graph.h"
#include "order.h"

namespace replay_fuzz {

class Session {
 public:
  Session(const char* image, const Options& options);
  // Draws the graphs, makes them executable, and goes on until the steps or the budget are spent.
  void run();

 private:
  void make_graphs();
  void step(int number);
  void launch_graph(Graph& graph, int launcher);
  void run_operation(int launcher);
  void change(Graph& graph, u32 dice);
  void press_memory();

  void run_eagerly(const Graph& graph, int launcher);
  void apply_to_model(const Graph& graph);
  void begin(int launcher, const Touched& touched);
  void end(int launcher);
  void say(const char* what, const Graph& graph) const;

  const Options options_;
  Random random_;
  Memory memory_;
  Device device_;
  std::vector<Graph> graphs_;
  Order order_;                      // of the steps on the launching streams
  std::vector<Handle> step_events_;  // behind each step
  std::vector<void*> pressure_;      // allocations that come and go
  long budget_ = 0, launched_graphs_ = 0, launched_nodes_ = 0;
};

}  // namespace replay_fuzz
