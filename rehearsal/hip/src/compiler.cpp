#include "compiler.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace standin {
namespace {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::error_code error;
    auto base = std::filesystem::temp_directory_path(error);
    if (error) base = "/tmp";
    std::string pattern = (base / "hip-stand-in-XXXXXX").string();
    if (mkdtemp(pattern.data())) path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  bool made() const { return !path_.empty(); }
  std::string file(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The exit status, or -1 with errno set where the program could not be started.
int run(const std::vector<std::string>& command, const std::string& output) {
  std::vector<char*> argv;
  for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, output.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  pid_t child = 0;
  const int error = posix_spawnp(&child, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    errno = error;
    return -1;
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Compiled compile(const std::string& source, const std::vector<std::string>& options) {
  Compiled result;
  const TemporaryDirectory directory;
  if (!directory.made()) {
    result.log = std::string("the stand-in cannot make a temporary directory: ") +
                 std::strerror(errno) + "\n";
    return result;
  }
  const std::string input = directory.file("kernels.cpp");
  const std::string output = directory.file("kernels.so");
  const std::string log = directory.file("log");
  std::ofstream(input, std::ios::binary) << source;

  const char* const given = std::getenv("HIP_STANDIN_CXX");
  // Initial-exec: blockIdx and its like are read at every step, and only few modules are loaded.
  std::vector<std::string> command = {
      given ? given : "g++", "-std=c++17",      "-O1",    "-fPIC",
      "-shared",             "-nostdinc++",     "-w",     "-fvisibility=hidden",
      "-fno-exceptions",     "-fno-asynchronous-unwind-tables", "-ftls-model=initial-exec",
      "-o",                  output};
  command.insert(command.end(), options.begin(), options.end());
  command.push_back(input);

  const int status = run(command, log);
  if (status == -1) {
    result.log = "the stand-in cannot run the compiler '" + command[0] +
                 "': " + std::strerror(errno) + "; install g++ or set HIP_STANDIN_CXX\n";
    return result;
  }
  result.log = read_file(log);
  if (status == 0) result.code = read_file(output);
  result.ok = !result.code.empty();
  return result;
}

}  // namespace standin
