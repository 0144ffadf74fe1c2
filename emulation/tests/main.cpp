// Runs every test whose name contains the first argument, or all; the exit code says whether all passed.
#include <csignal>
#include <cstring>

#include "testing.h"

int main(int count, char** arguments) {
  int failed = 0, ran = 0;
  for (const Test& test : tests()) {
    if (count > 1 && !std::strstr(test.name, arguments[1])) continue;
    ++ran;
    std::fflush(stdout);
    const Ending ending = ending_of([&] {
      alarm(60);  // a test that hangs is a test that fails
      test.body();
    });
    if (ending.exited(0) && !ending.says("Sanitizer:"))
      continue;  // it ends past what a sanitizer does at exit
    ++failed;
    std::printf("FAILED %s\n%s\n", test.name, ending.text.c_str());
  }
  std::printf("%d tests, %d failed\n", ran, failed);
  return failed || ran == 0 ? 1 : 0;
}
