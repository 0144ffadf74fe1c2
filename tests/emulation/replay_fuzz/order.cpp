#include "order.h"

#include <algorithm>
#include <set>

namespace replay_fuzz {

Order::Order(int streams) : known_(streams, std::vector<int>(streams, -1)) {}

std::vector<int> Order::add(int stream, const Touched& touched) {
  std::set<int> before;
  for (const int buffer : touched.reads) {
    if (uses_[buffer].written_by >= 0) before.insert(uses_[buffer].written_by);
  }
  for (const int buffer : touched.writes) {
    const Use& use = uses_[buffer];
    if (use.written_by >= 0) before.insert(use.written_by);
    before.insert(use.read_by.begin(), use.read_by.end());
  }
  std::vector<int> waits;
  // From the latest on: what it knows itself needs no wait.
  for (auto at = before.rbegin(); at != before.rend(); ++at) {
    const int other = stream_of_[*at];
    if (other == stream || known_[stream][other] >= *at) continue;
    waits.push_back(*at);
    for (std::size_t s = 0; s < known_.size(); ++s) {
      known_[stream][s] = std::max(known_[stream][s], after_[*at][s]);
    }
  }
  const int added = static_cast<int>(stream_of_.size());
  stream_of_.push_back(stream);
  known_[stream][stream] = added;
  after_.push_back(known_[stream]);
  for (const int buffer : touched.reads) uses_[buffer].read_by.push_back(added);
  for (const int buffer : touched.writes) uses_[buffer] = Use{added, {}};
  return waits;
}

}  // namespace replay_fuzz
