#define _GNU_SOURCE
#include "runtime.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#include "names.h"

static int note_library(struct dl_phdr_info *info, size_t size, void *path) {
  (void)size;
  const char *slash = strrchr(info->dlpi_name, '/');
  const char *file = slash ? slash + 1 : info->dlpi_name;
  const size_t stem = strlen(RUNTIME_LIBRARY);
  if (strncmp(file, RUNTIME_LIBRARY, stem) != 0 || !strchr(".-", file[stem])) return 0;
  return snprintf(path, PATH_MAX, "%s", info->dlpi_name) < PATH_MAX;
}

// Python loads torch, and with it the runtime, outside of the global scope, where RTLD_NEXT does
// not look: there the runtime is found among the libraries that are mapped.
static void *in_mapped_runtime(const char *name) {
  char path[PATH_MAX];
  if (!dl_iterate_phdr(note_library, path)) return NULL;
  void *library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
  return library ? dlsym(library, name) : NULL;
}

void *real_function(struct real *call) {
  void *found = atomic_load_explicit(&call->found, memory_order_acquire);
  if (found) return found;
  // Unversioned: whatever version a caller was linked to, a runtime has one function of a name.
  found = dlsym(RTLD_NEXT, call->name);
  if (!found) found = in_mapped_runtime(call->name);
  if (found) {
    atomic_store_explicit(&call->found, found, memory_order_release);
  } else {
    fprintf(stderr, "capture-guard: no %s with %s is loaded; the call fails with error %d\n",
            RUNTIME_LIBRARY, call->name, SYMBOL_NOT_FOUND);
  }
  return found;
}
