// Finds the runtime's own functions, behind the ones of the same name in this library.
#pragma once

#include <stdatomic.h>

struct real {
  const char *name;
  _Atomic(void *) found;
};

#define STRING_OF(name) #name
#define STRING(name) STRING_OF(name)
#define REAL(call) {STRING(call), 0}

// The function, or NULL (and one line on stderr) where no runtime that has it is loaded.
void *real_function(struct real *call);
