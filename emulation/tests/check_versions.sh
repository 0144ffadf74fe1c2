#!/bin/sh
# Fails where a library asks for a newer glibc, or for libstdc++ at all: check_versions.sh GLIBC LIBRARY...
set -eu
most=$1
shift
for library in "$@"; do
  asked=$(readelf -V "$library" | sed -n 's/.*Name: \([A-Z]*_[0-9.]*\).*/\1/p' | sort -u)
  newest=$(printf '%s\n' "$asked" | sed -n 's/^GLIBC_//p' | sort -V | tail -1)
  if printf '%s\n' "$asked" | grep -q '^\(GLIBCXX\|CXXABI\|GCC\)_'; then
    echo "$library asks for a libstdc++ or libgcc: link them statically" >&2
    exit 1
  fi
  if [ -z "$newest" ] || [ "$(printf '%s\n%s\n' "$newest" "$most" | sort -V | tail -1)" != "$most" ]; then
    echo "$library asks for glibc ${newest:-of no version}; images have $most" >&2
    exit 1
  fi
done
echo "libraries ask for glibc $most at most, and for no libstdc++"
