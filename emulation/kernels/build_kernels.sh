#!/bin/sh
# Compiles the extern "C" kernels of a HIP source for the CPU: build_kernels.sh SOURCE OUTPUT.kernels.so
set -eu
[ $# -eq 2 ] && [ -f "$1" ] || { echo "usage: build_kernels.sh SOURCE OUTPUT.kernels.so" >&2; exit 2; }
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{
  echo '#include "prelude.h"'
  cat "$1"
  echo
  sed -n 's/.*extern "C" __global__ void \([A-Za-z_0-9]*\)(.*/HSA_STANDIN_KERNEL(\1)/p' "$1"
} > "$work/kernels.cpp"
# -w: the source is its author's, and a HIP compiler's warnings are others.
${CXX:-g++} -std=c++17 -O2 -fPIC -shared -fvisibility=hidden -fno-exceptions -ffp-contract=off -w -s \
  -static-libstdc++ -static-libgcc -I"$here" -o "$2" "$work/kernels.cpp"
