#!/usr/bin/env python3
"""Runs one of the smallest cases in fresh processes and tells what came of each.

Exit status as run_fuzz.py: 0 all right, 1 nothing could be run, 2 bad words, 3 wrong, 4 crashed,
5 hung, 6 HIP refused a call.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

from compile_kernels import image_for
from one_run import NOTHING_RUN, Outcome, carry_out, leave_no_core_files, status_of, told

HERE = Path(__file__).resolve().parent


def main(words: list[str]) -> int:
    """Run the case and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("case", help="a name that small_cases knows; without words it lists them")
    parser.add_argument("--lib", required=True, help="libamdhip64")
    parser.add_argument("--hiprtc", required=True, help="libhiprtc, which compiles the kernels")
    parser.add_argument("--build", type=Path, default=HERE / "build", help="where `make` built it")
    parser.add_argument("--gfx", default=os.environ.get("HSA_STANDIN_GFX", "gfx942"))
    parser.add_argument("--others", type=int, help="so many streams were used before")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--limit", type=float, default=60, help="seconds for a process")
    parser.add_argument("--in-order", action="store_true", help="without the overlapping schedule")
    args = parser.parse_args(words)
    leave_no_core_files()
    try:
        image = image_for(args.build, args.hiprtc, args.gfx)
    except (OSError, ValueError) as error:
        print(f"no kernels: {error}")
        return NOTHING_RUN
    command = [str(args.build / "small_cases"), args.lib, str(image), args.case]
    command += [] if args.others is None else [str(args.others)]
    kernels, counts = args.build / "fuzz.kernels.so", Counter[Outcome]()
    for seed in range(1, args.processes + 1):
        environment = {"HSA_STANDIN_KERNELS": str(kernels)} if kernels.exists() else {}
        environment |= {} if args.in_order else {"HSA_STANDIN_OVERLAP": str(seed)}
        result = carry_out(command, environment, args.limit)
        counts[result.outcome] += 1
        print(f"{result.outcome.value}: {result.last_line()}", flush=True)
    print(f"{sum(counts.values())} processes: {told(counts)}")
    return status_of(counts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
