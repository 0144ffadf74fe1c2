#include "kernel_scan.h"

#include <cctype>
#include <string_view>
#include <vector>

namespace standin {
namespace {

bool in_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

std::size_t after_quoted(std::string_view text, std::size_t at) {
  const char quote = text[at++];
  while (at < text.size() && text[at] != quote) at += text[at] == '\\' ? 2 : 1;
  return at + 1;
}

// Words and single punctuation characters, without comments, strings and directives.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::size_t at = 0;
  const auto skip_past = [&](std::string_view end) {
    const auto found = text.find(end, at);
    at = found == std::string_view::npos ? text.size() : found + end.size();
  };
  while (at < text.size()) {
    const char c = text[at];
    const std::string_view two = text.substr(at, 2);
    if (two == "//" || c == '#') {
      skip_past("\n");
    } else if (two == "/*") {
      skip_past("*/");
    } else if (c == '"' || c == '\'') {
      at = after_quoted(text, at);
    } else if (in_word(c)) {
      const std::size_t start = at;
      while (at < text.size() && in_word(text[at])) ++at;
      words.emplace_back(text.substr(start, at - start));
    } else {
      if (!std::isspace(static_cast<unsigned char>(c))) words.emplace_back(1, c);
      ++at;
    }
  }
  return words;
}

}  // namespace

std::set<std::string> kernel_names(const std::string& source) {
  std::set<std::string> names;
  const auto words = words_of(source);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] != "__global__") continue;
    // The name is the word before the first parenthesis that is not __launch_bounds__'s.
    for (std::size_t j = i + 1; j + 1 < words.size(); ++j) {
      if (words[j + 1] != "(" || words[j] == "__launch_bounds__") continue;
      if (in_word(words[j].front())) {
        names.insert(words[j]);
        break;
      }
    }
  }
  return names;
}

}  // namespace standin
