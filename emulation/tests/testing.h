// Tests of the emulator: each runs in a process of its own, because what HSA_STANDIN_* say is read once.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

struct Test {
  const char* name;
  void (*body)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

struct Registered {
  Registered(const char* name, void (*body)()) { tests().push_back({name, body}); }
};

// TEST(a_sentence_that_the_body_proves) { ... }
#define TEST(name)                                        \
  static void name();                                     \
  static const Registered registered_##name(#name, name); \
  static void name()

#define CHECK(condition)                                                             \
  do {                                                                               \
    if (!(condition)) {                                                              \
      std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      std::_Exit(1);                                                                 \
    }                                                                                \
  } while (false)

#define CHECK_EQUAL(have, want)                                                                 \
  do {                                                                                          \
    const auto checked_have = (have);                                                           \
    const decltype(checked_have) checked_want = (want);                                         \
    if (checked_have != checked_want) {                                                         \
      std::fprintf(stderr, "%s:%d: %s is %s, not %s\n", __FILE__, __LINE__, #have,              \
                   std::to_string(checked_have).c_str(), std::to_string(checked_want).c_str()); \
      std::_Exit(1);                                                                            \
    }                                                                                           \
  } while (false)

// How a process ended, and what it wrote to stderr.
struct Ending {
  int status;
  std::string text;
  bool exited(int code) const { return WIFEXITED(status) && WEXITSTATUS(status) == code; }
  bool aborted() const { return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT; }
  bool says(const char* what) const { return text.find(what) != std::string::npos; }
};

// Runs it in a child process, which must not have threads yet.
inline Ending ending_of(const std::function<void()>& body) {
  int pipes[2];
  CHECK(pipe(pipes) == 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(pipes[1], STDERR_FILENO);
    close(pipes[0]);
    close(pipes[1]);
    body();
    std::_Exit(0);
  }
  close(pipes[1]);
  Ending ending = {};
  char buffer[4096];
  for (ssize_t count; (count = read(pipes[0], buffer, sizeof buffer)) > 0;) {
    ending.text.append(buffer, static_cast<std::size_t>(count));
  }
  close(pipes[0]);
  waitpid(child, &ending.status, 0);
  return ending;
}

inline void set(const char* variable, const char* value) { setenv(variable, value, 1); }
