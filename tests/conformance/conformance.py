#!/usr/bin/env python3
"""Makes every measured call again on a HIP runtime, and fails on a row that changed.

    python3 conformance.py --lib libamdhip64.so.7 --hiprtc libhiprtc.so.7 \
        --expected ../data/capture-matrix-hip-7.2.4.tsv --expected ../data/more-calls-hip-7.2.4.tsv

Needs two devices of the architecture. With --write it also leaves what it found, as a table like
the one expected. Exit codes: 0 all rows as expected; 1 some are not, or an entry of the differences
is stale; 2 the tables or the libraries cannot be used.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from capture_cases import Hip, compile_kernel
from capture_tables import Row, Unusable, read_differences, read_matrix, write_matrix
from comparison import compare
from measuring import CALLS, Absent, measure_all


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lib", required=True, help="libamdhip64: a path, or a name to look up")
    parser.add_argument("--hiprtc", help="default: libhiprtc.so beside --lib")
    parser.add_argument("--gfx", default="gfx942", help="the devices' architecture (gfx942)")
    parser.add_argument("--expected", type=Path, action="append", required=True, metavar="TABLE")
    parser.add_argument("--differences", type=Path, help="what is expected instead, in some rows")
    parser.add_argument(
        "--skip-missing", action="store_true", help="leave out calls that the library does not have"
    )
    parser.add_argument("--write", type=Path, metavar="TABLE", help="where to put what was found")
    parser.add_argument("--title", help="for --write: which runtime, on what, when")
    options = parser.parse_args(arguments)
    if options.write and (len(options.expected) > 1 or not options.title):
        parser.error(
            "--write needs a --title, and one table with --expected: its rows are measured."
        )

    try:
        expected = {
            row: answer
            for path in options.expected
            for row, answer in read_matrix(path, CALLS).items()
        }
        differences = read_differences(options.differences) if options.differences else []
        hiprtc = options.hiprtc or str(Path(options.lib).parent / "libhiprtc.so")
        # Bound once for all processes: until its first call a runtime starts nothing.
        hip = load(options.lib)
        found = measure_all(
            lambda: hip, lambda: compile_kernel(hiprtc, options.gfx), list(expected)
        )
        if options.write:
            write_matrix(options.write, options.title, {row: found[row] for row in expected})
    except Unusable as error:
        print(error, file=sys.stderr)
        return 2
    skipped = missing(found) if options.skip_missing else {}
    report = compare(
        {row: answer for row, answer in expected.items() if row not in skipped}, found, differences
    )
    for line in report.disagreements:
        print(line)
    print(
        f"{len(expected)} rows: {report.as_expected} as expected, {report.as_listed} differ as"
        f" listed, {len(skipped)} skipped, {len(report.disagreements)} are not as expected"
    )
    for reason in dict.fromkeys(skipped.values()):
        print(f"skipped: {reason}")
    return 1 if report.disagreements else 0


def load(library: str) -> Hip:
    try:
        return Hip(library)
    except OSError as error:
        raise Unusable(f"{library} cannot be loaded: {error}.") from None


def missing(found: Mapping[Row, object]) -> dict[Row, str]:
    return {row: answer for row, answer in found.items() if isinstance(answer, Absent)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
