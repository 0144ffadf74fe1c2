#!/bin/sh
# Compiles the extern "C" kernels of a HIP source for the CPU: build_kernels.sh SOURCE OUTPUT.kernels.so
set -eu
[ $# -eq 2 ] && [ -f "$1" ] || { echo "usage: build_kernels.sh SOURCE OUTPUT.kernels.so" >&2; exit 2; }
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kernels=$(sed -n 's/.*extern "C" __global__ void \(__launch_bounds__([^)]*) \)\{0,1\}\([A-Za-z_0-9]*\)(.*/\2/p' "$1")
[ -n "$kernels" ] || { echo "$1 has no line with: extern \"C\" __global__ void NAME(" >&2; exit 2; }
{
  # What a source does not use costs it nothing: fibres, and a thread's 160 KiB of dynamic shared memory.
  ! grep -q '__syncthreads' "$1" || echo '#define EMULATION_BARRIERS'
  ! grep -q 'extern __shared__' "$1" || echo '#define EMULATION_DYNAMIC_SHARED'
  echo '#include "prelude.h"'
  # An array without a size, in a function or outside: another name for the thread's.
  sed 's/extern __shared__\([^;]*\[ *\]\) *;/extern __thread\1 __asm__("emulation_dynamic_shared");/' "$1"
  echo
  for kernel in $kernels; do echo "HSA_STANDIN_KERNEL($kernel)"; done
} > "$work/kernels.cpp"
# -w: the source is its author's, and a HIP compiler's warnings are others.
${CXX:-g++} -std=c++17 -O2 -fPIC -shared -fvisibility=hidden -fno-exceptions -ffp-contract=off -w -s \
  -static-libstdc++ -static-libgcc -I"$here" -o "$2" "$work/kernels.cpp"
