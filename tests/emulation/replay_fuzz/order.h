// What each stream knows to be done of the others, so that an operation waits for what it needs and no more.
//
// A later operation must not run beside an earlier one that wrote what it touches, or read what it writes. With
// waits for exactly that, the program has no data race by HIP's rules, and the model may run in program order.
#pragma once

#include <map>
#include <vector>

#include "operation.h"

namespace replay_fuzz {

class Order {
 public:
  explicit Order(int streams);
  // Adds an operation and returns the operations of other streams whose events its stream must wait for.
  std::vector<int> add(int stream, const Touched& touched);
  int stream_of(int operation) const { return stream_of_[operation]; }

 private:
  struct Use {
    int written_by = -1;
    std::vector<int> read_by;  // since then
  };
  std::vector<std::vector<int>> known_;  // [stream][other stream]: its last operation that is known to be done
  std::vector<std::vector<int>> after_;  // [operation]: known_ of its stream behind it
  std::vector<int> stream_of_;
  std::map<int, Use> uses_;  // by buffer
};

}  // namespace replay_fuzz
