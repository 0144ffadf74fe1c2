// Finds the kernels in a source text, so that each can be given an entry.
#pragma once

#include <set>
#include <string>

namespace standin {

// The names of all functions declared __global__, comments and strings left out.
std::set<std::string> kernel_names(const std::string& source);

}  // namespace standin
