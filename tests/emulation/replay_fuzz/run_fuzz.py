#!/usr/bin/env python3
"""Runs the replay fuzzer, each seed in a fresh process, and tells what came of it.

Exit status: 0 all seeds right, 1 nothing could be run, 2 bad words, and where some were not right
the first of these that applies: 3 a replay was wrong, 4 a process crashed, 5 one hung, 6 HIP
refused a call.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from compile_kernels import image_for
from known_faults import KNOWN_FAULTS
from one_run import NOTHING_RUN, Outcome, Result, Run, leave_no_core_files, status_of, told
from shrink import shrink

HERE = Path(__file__).resolve().parent
SHRINKING_SECONDS = 30


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line; what follows `--` are options of the fuzzer, NAME=NUMBER."""
    faults = ", ".join(f"{name} ({fault.shows})" for name, fault in KNOWN_FAULTS.items())
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], usage="%(prog)s ... [-- NAME=NUMBER ...]"
    )
    parser.add_argument("--lib", required=True, help="libamdhip64")
    parser.add_argument("--hiprtc", required=True, help="libhiprtc, which compiles the kernels")
    parser.add_argument(
        "--build", type=Path, default=HERE / "build", help="where `make` built the fuzzer"
    )
    parser.add_argument("--gfx", default=os.environ.get("HSA_STANDIN_GFX", "gfx942"))
    seeds = parser.add_mutually_exclusive_group(required=True)
    seeds.add_argument("--seeds", nargs=2, type=int, metavar=("FIRST", "LAST"))
    seeds.add_argument(
        "--forever", type=int, metavar="FIRST", help="from this seed on, until Ctrl-C"
    )
    parser.add_argument("--avoid", action="append", default=[], choices=KNOWN_FAULTS, help=faults)
    parser.add_argument("--in-order", action="store_true", help="without the overlapping schedule")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit", type=float, default=60, help="seconds for a seed")
    parser.add_argument("--no-shrink", action="store_true", help="show a failure as it is, at once")
    parser.add_argument("options", nargs="*", metavar="NAME=NUMBER")
    return parser.parse_args(words)


def pairs(words: Iterable[str]) -> dict[str, str]:
    """Split NAME=VALUE words."""
    for word in words:
        if "=" not in word:
            sys.exit(f"{word}: expected NAME=VALUE")
    return dict(word.split("=", 1) for word in words)


def prepare(args: argparse.Namespace) -> Run:
    """Compile the kernels and return the run that every seed is made from."""
    program, kernels = args.build / "replay_fuzz", args.build / "fuzz.kernels.so"
    if not program.exists():
        print(f"{program} is missing: make -C {HERE} BUILD={args.build}")
        sys.exit(NOTHING_RUN)
    try:
        image = image_for(args.build, args.hiprtc, args.gfx)
    except (OSError, ValueError) as error:
        print(f"no kernels: {error}")
        sys.exit(NOTHING_RUN)
    environment = {"HSA_STANDIN_KERNELS": str(kernels)} if kernels.exists() else {}
    options: dict[str, int] = {}
    for fault in args.avoid:
        environment.update(KNOWN_FAULTS[fault].environment)
        options.update(KNOWN_FAULTS[fault].options)
    environment.update(pairs(args.env))
    options.update({name: int(value) for name, value in pairs(args.options).items()})
    return Run(program, args.lib, image, 0, options, environment)


def of_seed(base: Run, seed: int, in_order: bool) -> Run:
    """The run of one seed; in the overlapping schedule the schedule has the same seed."""
    overlap = {} if in_order else {"HSA_STANDIN_OVERLAP": str(seed)}
    return Run(
        base.program, base.lib, base.image, seed, base.options, {**base.environment, **overlap}
    )


def show(run: Run, result: Result, args: argparse.Namespace) -> None:
    """Print a failure, and the smallest command that shows it again."""
    print(f"seed {run.seed}: {result.outcome.value}: {result.last_line()}", flush=True)
    if result.outcome is Outcome.NOT_STARTED:
        return
    smallest = run if args.no_shrink else shrink(run, result, args.limit, SHRINKING_SECONDS)
    print(f"  again: {smallest.command()}", flush=True)


def main(words: list[str]) -> int:
    """Run the seeds and return the exit status."""
    args = arguments(words)
    base = prepare(args)
    leave_no_core_files()
    seeds = (
        itertools.count(args.forever)
        if args.seeds is None
        else iter(range(args.seeds[0], args.seeds[1] + 1))
    )
    began, counts = time.monotonic(), Counter[Outcome]()
    running: dict[Future[Result], Run] = {}
    with ThreadPoolExecutor(args.jobs) as pool:
        try:
            while True:
                for seed in itertools.islice(seeds, args.jobs - len(running)):
                    run = of_seed(base, seed, args.in_order)
                    running[pool.submit(run.carry_out, args.limit)] = run
                if not running:
                    break
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    run, result = running.pop(done), done.result()
                    counts[result.outcome] += 1
                    # One of a kind is enough to look at; the counts tell the rest.
                    if result.outcome is not Outcome.RIGHT and counts[result.outcome] == 1:
                        show(run, result, args)
        except KeyboardInterrupt:
            print("interrupted")
    print(f"{sum(counts.values())} seeds: {told(counts)}; {time.monotonic() - began:.0f} s")
    return status_of(counts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
