#include "options.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "hip.h"

namespace replay_fuzz {
namespace {

const std::map<std::string, long Options::*>& names() {
  static const std::map<std::string, long Options::*> all = {
      {"graphs", &Options::graphs},
      {"nodes", &Options::nodes},
      {"streams", &Options::streams},
      {"one_root", &Options::one_root},
      {"circles", &Options::circles},
      {"children", &Options::children},
      {"llm", &Options::llm},
      {"copies", &Options::copies},
      {"pageable", &Options::pageable},
      {"memset", &Options::memset},
      {"large", &Options::large},
      {"steps", &Options::steps},
      {"budget", &Options::budget},
      {"set_params", &Options::set_params},
      {"exec_update", &Options::exec_update},
      {"again", &Options::again},
      {"async_update", &Options::async_update},
      {"async_destroy", &Options::async_destroy},
      {"upload", &Options::upload},
      {"eager", &Options::eager},
      {"extra", &Options::extra},
      {"null_stream", &Options::null_stream},
      {"capture_mode", &Options::capture_mode},
      {"destroy_early", &Options::destroy_early},
      {"talk", &Options::talk},
      {"edges", &Options::edges},
  };
  return all;
}

[[noreturn]] void not_an_option(const char* word) {
  std::printf("%s is no option; give NAME=NUMBER with a NAME of:", word);
  for (const auto& [name, member] : names()) std::printf(" %s", name.c_str());
  std::printf("\n");
  leave(kUsage);
}

}  // namespace

Options parse_options(std::uint64_t seed, int argc, char** argv, int first) {
  Options options;
  options.seed = seed;
  for (int i = first; i < argc; ++i) {
    const std::string word = argv[i];
    const auto at = word.find('=');
    const auto known = names().find(word.substr(0, at));
    if (at == std::string::npos || known == names().end()) not_an_option(argv[i]);
    char* end = nullptr;
    options.*known->second = std::strtol(word.c_str() + at + 1, &end, 10);
    if (*end || at + 1 == word.size()) not_an_option(argv[i]);
  }
  return options;
}

}  // namespace replay_fuzz
