#include "session.h"

#include <cstdio>
#include <string>

#include "model.h"

namespace replay_fuzz {
namespace {

int draw_launchers(Random& random, const Options& options) {
  return options.llm ? 1 : 1 + static_cast<int>(random.below(4));
}

}  // namespace

Session::Session(const char* image, const Options& options)
    : options_(options),
      random_(options.seed),
      memory_(draw_memory(random_, options_)),
      device_(make_device(image, options_, draw_launchers(random_, options_))),
      order_(static_cast<int>(device_.launchers.size())) {
  for (Programs& programs : draw_graphs(random_, options_, memory_)) {
    graphs_.emplace_back().programs = std::move(programs);
  }
}

void Session::make_graphs() {
  for (auto graph = graphs_.rbegin(); graph != graphs_.rend(); ++graph) {
    if (options_.llm) {  // a warm-up before each capture, as a server has it
      synchronize();
      run_eagerly(*graph, 0);
      apply_to_model(*graph);
      synchronize();
    }
    make_executable(*graph, memory_, device_, options_, random_);
  }
}

void Session::run() {
  if (!options_.eager) make_graphs();
  compare(memory_, "before the first replay");
  budget_ = options_.budget;
  int number = 0;
  for (; number < options_.steps && budget_ > 0; ++number) step(number);
  compare(memory_, "at the end");
  std::printf("right: graphs %zu captured %ld launches %ld nodes %ld steps %d\n", graphs_.size(),
              captured_operations(), launched_graphs_, launched_nodes_, number);
}

void Session::step(int number) {
  const int launcher = static_cast<int>(random_.below(static_cast<u32>(device_.launchers.size())));
  Graph& graph = graphs_[random_.below(static_cast<u32>(graphs_.size()))];
  const u32 dice = random_.below(100);
  if (options_.talk) std::printf("step %d on launching stream %d: ", number, launcher);
  if (dice < 55) {
    launch_graph(graph, launcher);
  } else if (dice < 80) {
    run_operation(launcher);
  } else if ((dice < 88 && options_.set_params && !options_.llm) ||
             (dice < 91 && options_.exec_update && !options_.llm) || (dice < 93 && options_.again)) {
    change(graph, dice);
  } else if (dice < 96) {
    press_memory();
  } else if (dice < 98 || options_.llm) {
    compare(memory_, ("after step " + std::to_string(number)).c_str());
  } else {
    hip("hipStreamSynchronize", device_.launchers[launcher]);
  }
  if (options_.talk) std::printf("\n");
}

void Session::launch_graph(Graph& graph, int launcher) {
  const int times = random_.chance(20) ? 2 + static_cast<int>(random_.below(3)) : 1;
  begin(launcher, graph.programs.touched);
  say("launch", graph);
  for (int i = 0; i < times; ++i) {
    if (options_.eager) {
      run_eagerly(graph, launcher);
    } else {
      hip("hipGraphLaunch", graph.exec, device_.launchers[launcher]);
    }
    apply_to_model(graph);
    budget_ -= graph.programs.size();
    launched_nodes_ += graph.programs.size();
    ++launched_graphs_;
  }
  end(launcher);
}

void Session::run_operation(int launcher) {
  const Operation operation = draw_operation(random_, options_, memory_, memory_.all_buffers(), 0, false);
  begin(launcher, touched(operation));
  if (options_.talk) std::printf("operation of kind %d", operation.kind);
  issue(operation, memory_, device_, device_.launchers[launcher]);
  apply(operation, memory_);
  end(launcher);
  --budget_;
}

void Session::change(Graph& graph, u32 dice) {
  if (dice < 88 && options_.set_params && !options_.llm) {
    say("set parameters of", graph);
    if (!options_.async_update || random_.chance(50)) synchronize();
    set_parameters(graph, memory_, options_, random_);
  } else if (dice < 91 && options_.exec_update && !options_.llm) {
    if (graph.programs.children) return;
    say("update", graph);
    if (!options_.async_update || random_.chance(50)) synchronize();
    update_whole(graph, memory_, device_, options_, random_);
  } else if (!options_.eager) {
    say("make again", graph);
    if (!options_.async_destroy) synchronize();
    destroy(graph);
    make_executable(graph, memory_, device_, options_, random_);
  }
}

void Session::press_memory() {
  for (int i = 0; i < 8; ++i) {
    if (pressure_.size() > 20 || (!pressure_.empty() && random_.chance(50))) {
      const u32 which = random_.below(static_cast<u32>(pressure_.size()));
      hip("hipFree", pressure_[which]);
      pressure_.erase(pressure_.begin() + which);
    } else {
      pressure_.push_back(device_array<char>(1 + random_.below(1 << 20)));
    }
  }
}

void Session::run_eagerly(const Graph& graph, int launcher) {
  for (const Program& part : graph.programs.parts) {
    issue(part, memory_, device_, options_, device_.launchers[launcher], false);
  }
}

void Session::apply_to_model(const Graph& graph) {
  for (const Program& part : graph.programs.parts) {
    for (const Operation& operation : part.operations) apply(operation, memory_);
  }
}

void Session::begin(int launcher, const Touched& touched) {
  for (const int step : order_.add(launcher, touched)) wait(device_.launchers[launcher], step_events_[step]);
}

void Session::end(int launcher) {
  Handle event = nullptr;
  if (device_.launchers.size() > 1) {
    event = new_event();
    record(event, device_.launchers[launcher]);
  }
  step_events_.push_back(event);
}

void Session::say(const char* what, const Graph& graph) const {
  if (!options_.talk) return;
  std::printf("%s graph %td of %ld nodes", what, &graph - graphs_.data(), graph.programs.size());
}

}  // namespace replay_fuzz
