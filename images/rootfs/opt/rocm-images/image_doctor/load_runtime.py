"""Loads one library, and prints the HIP runtime that came with it: its file and its version.

A program of its own, because a library stays loaded, and a broken one can end its process.
"""

import ctypes
import json
import sys


def main(library: str) -> int:
    """Print {"path": ..., "version": ...}; fails with a sentence where there is no runtime."""
    try:
        ctypes.CDLL(library, ctypes.RTLD_GLOBAL)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    with open("/proc/self/maps") as maps:  # noqa: PTH123  (pathlib costs more than all of this)
        fields = [line.rstrip("\n").split(None, 5) for line in maps]
    paths = [line[5] for line in fields if len(line) == 6]
    runtimes = {path for path in paths if path.rpartition("/")[2].startswith("libamdhip64.so")}
    if len(runtimes) != 1:
        sys.stderr.write(f"{len(runtimes)} HIP runtimes are loaded\n")
        return 1
    path = runtimes.pop()
    version = ctypes.c_int(0)
    # By HIP's source (HIP_INIT_API_NO_RETURN) it answers even where no GPU can be initialised.
    ctypes.CDLL(path).hipRuntimeGetVersion(ctypes.byref(version))
    if version.value <= 0:
        sys.stderr.write(f"{path} says version {version.value}\n")
        return 1
    sys.stdout.write(json.dumps({"path": path, "version": version.value}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
