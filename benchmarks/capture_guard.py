"""Measures what the capture guard adds to a query while no capture is open.

    python3 benchmarks/capture_guard.py            # needs cc; no GPU, no ROCm

The runtime behind it does nothing, so the difference is the guard's. The best of many rounds
counts: everything else on the machine can only add. Exit code 1 above 50 ns.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
GUARD = HERE.parent / "images" / "rootfs" / "opt" / "rocm-images" / "capture_guard"
LIMIT_NS = 50.0
ROUNDS = 50


def compiled(folder: Path) -> tuple[Path, Path]:
    """The guard and the measuring program, with its empty runtime beside it."""
    guard, program = folder / "libcapture_guard.so", folder / "query_cost"
    source = str(HERE / "query_cost.c")
    cc = [os.environ.get("CC", "cc"), "-O2"]
    subprocess.run([GUARD / "build", guard], check=True)
    library = folder / "libamdhip64.so"
    shared = ["-shared", "-fPIC", "-DEMPTY_RUNTIME", "-Wl,-soname,libamdhip64.so"]
    subprocess.run([*cc, *shared, source, "-o", library], check=True)
    link = [f"-L{folder}", "-lamdhip64", f"-Wl,-rpath,{folder}", "-pthread"]
    subprocess.run([*cc, source, "-o", program, *link], check=True)
    return guard, program


def nanoseconds(program: Path, threads: int, guard: Path | None) -> float:
    """Nanoseconds a query, the best of ROUNDS."""
    environment = {**os.environ, **({"LD_PRELOAD": str(guard)} if guard else {})}
    command = [str(program), str(threads), str(ROUNDS)]
    return float(subprocess.check_output(command, env=environment, text=True))


def main() -> int:
    """Measures with 1, 2 and 8 threads; returns the exit code."""
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        guard, program = compiled(Path(folder))
        for threads in (1, 2, 8):
            without = nanoseconds(program, threads, None)
            with_guard = nanoseconds(program, threads, guard)
            worst = max(worst, with_guard - without)
            print(
                f"{threads} threads: {without:.1f} ns without the guard, {with_guard:.1f} with it"
            )
    print(f"the guard adds {worst:.1f} ns to a query at most; the limit is {LIMIT_NS:g}")
    return 0 if worst < LIMIT_NS else 1


if __name__ == "__main__":
    sys.exit(main())
