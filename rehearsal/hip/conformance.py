#!/usr/bin/env python3
"""Holds the HIP stand-in against the measured capture matrix, row by row.

Expected is what CUDA did (capture-matrix-h100.tsv), or what hip-differences.tsv says HIP does
instead. Exit codes: 0 all rows as expected; 1 some are not, or an entry of hip-differences.tsv is
stale; 2 the matrix, the differences or the libraries cannot be used.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from capture_calls import CALLS, measure
from capture_cases import Bench, Hip, Observed, Row, compile_kernel

HERE = Path(__file__).resolve().parent
MATRIX = HERE.parents[1] / "tests" / "data" / "capture-matrix-h100.tsv"
BATCH_LIMIT_S = 60.0


class Unusable(Exception):
    """An input that nothing can be compared with; the message is a sentence."""


class Difference(NamedTuple):
    """One line of hip-differences.tsv; a pattern of None matches every value."""

    line: int
    pattern: tuple[str | None, ...]
    expected: Observed

    def matches(self, row: Row) -> bool:
        return all(want in (None, have) for want, have in zip(self.pattern, row, strict=True))


class Report(NamedTuple):
    as_cuda: int
    as_listed: int
    disagreements: list[str]


def table(path: Path, columns: int) -> list[tuple[int, list[str]]]:
    """The numbered lines of a tab-separated file, without comments."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}.") from None
    rows = [(n, text.split("\t")) for n, text in enumerate(lines, 1) if not text.startswith("#")]
    for number, cells in rows:
        if len(cells) != columns:
            raise Unusable(f"{path}:{number} has {len(cells)} columns instead of {columns}.")
    return rows


def observed(path: Path, line: int, cells: list[str]) -> Observed:
    try:
        return Observed(*(int(cell) for cell in cells))
    except ValueError:
        raise Unusable(f"{path}:{line} has a result that is no number: {cells}.") from None


def read_matrix(path: Path) -> dict[Row, Observed]:
    """The measured rows in the order of measurement; some depend on the rows before them."""
    matrix: dict[Row, Observed] = {}
    for line, cells in table(path, 7):
        row = Row(*cells[:4])
        if row.call not in CALLS:
            raise Unusable(f"{path}:{line} measures a call that capture_calls.py lacks: {row.call}")
        matrix[row] = observed(path, line, cells[4:])
    return matrix


def version(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split("."))
    except ValueError:
        raise Unusable(f"{text!r} is not a version such as 7.2.0.") from None


def read_differences(path: Path, rocm: str) -> list[Difference]:
    """The differences in effect for a ROCm version."""
    differences = []
    for line, cells in table(path, 9):
        bound = cells[0]
        if bound != "*" and not bound.startswith("<"):
            raise Unusable(f"{path}:{line} has a ROCm range that is neither * nor <version.")
        if bound == "*" or version(rocm) < version(bound[1:]):
            pattern = tuple(None if cell == "*" else cell for cell in cells[1:5])
            differences.append(Difference(line, pattern, observed(path, line, cells[5:8])))
    return differences


def in_fresh_process(job: Callable[[], object]) -> object:
    """The JSON value that `job` returns in a forked process, so that no state is left here."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            answer = {"value": job()}
        except Exception as failure:
            answer = {"failure": f"{type(failure).__name__}: {failure}"}
        with os.fdopen(writer, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(writer)
    text = b""
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], BATCH_LIMIT_S)[0]:
            chunk = pipe.read(1 << 16)
            if not chunk:
                break
            text += chunk
        else:
            os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise Unusable(
            f"A measuring process was ended by signal {os.WTERMSIG(status)}"
            f" (it is killed after {BATCH_LIMIT_S:g} s of silence)."
        )
    answer = json.loads(text)
    if "failure" in answer:
        raise Unusable(f"The runtime cannot be measured: {answer['failure']}.")
    return answer["value"]


def measure_all(
    runtime: Callable[[], Hip], compiler: Callable[[], bytes], rows: list[Row]
) -> dict[Row, Observed]:
    """Measures the rows, each call in a process of its own, there in the order they were measured.

    The order counts for one call: peer access was enabled by the first one that was let through.
    """
    code = str(in_fresh_process(lambda: compiler().hex()))

    def batch(members: list[Row]) -> Callable[[], object]:
        def job() -> object:
            bench = Bench(runtime(), bytes.fromhex(code))
            return [measure(bench, row) for row in members]

        return job

    found: dict[Row, Observed] = {}
    for call in dict.fromkeys(row.call for row in rows):
        members = [row for row in rows if row.call == call]
        answers = in_fresh_process(batch(members))
        assert isinstance(answers, list)
        for row, answer in zip(members, answers, strict=True):
            found[row] = Observed(*answer)
    return found


def describe(result: Observed) -> str:
    fate = "survived" if result.survived else f"dead ({result.end_rc})"
    return f"{result.call_rc}, {fate}"


def compare(
    matrix: dict[Row, Observed], found: dict[Row, Observed], differences: list[Difference]
) -> Report:
    as_cuda, as_listed, disagreements = 0, 0, []
    used: set[int] = set()
    for row, cuda in matrix.items():
        listed = [entry for entry in differences if entry.matches(row)]
        used.update(entry.line for entry in listed)
        where = f"{row.stream:12}  {row.capture_mode:12}  {row.caller:13}  {row.call}"
        got = found[row]
        if len(listed) > 1:
            lines = ", ".join(str(entry.line) for entry in listed)
            disagreements.append(f"{where}: lines {lines} of the differences both match")
        elif listed and got == cuda:
            disagreements.append(
                f"{where}: agrees with CUDA ({describe(got)}); line {listed[0].line} of the"
                " differences is stale"
            )
        elif got != (listed[0].expected if listed else cuda):
            want = f"{describe(listed[0].expected)} (listed)" if listed else describe(cuda)
            disagreements.append(f"{where}: {describe(got)} instead of {want}")
        elif listed:
            as_listed += 1
        else:
            as_cuda += 1
    disagreements += [
        f"line {entry.line} of the differences matches no row"
        for entry in differences
        if entry.line not in used
    ]
    return Report(as_cuda, as_listed, disagreements)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lib", type=Path, required=True, help="libamdhip64.so of the stand-in")
    parser.add_argument("--hiprtc", type=Path, help="default: libhiprtc.so beside --lib")
    parser.add_argument("--rocm", default="7.2.2", help="the version to rehearse (default 7.2.2)")
    parser.add_argument("--matrix", type=Path, default=MATRIX)
    parser.add_argument("--differences", type=Path, default=HERE / "hip-differences.tsv")
    options = parser.parse_args(arguments)

    os.environ.update(
        HIP_STANDIN_ROCM=options.rocm, HIP_STANDIN_DEVICES="2", HIP_STANDIN_GFX="gfx942"
    )
    try:
        matrix = read_matrix(options.matrix)
        differences = read_differences(options.differences, options.rocm)
        hiprtc = options.hiprtc or options.lib.parent / "libhiprtc.so"
        found = measure_all(
            lambda: Hip(str(options.lib)), lambda: compile_kernel(str(hiprtc)), list(matrix)
        )
    except Unusable as error:
        print(error, file=sys.stderr)
        return 2
    report = compare(matrix, found, differences)
    for line in report.disagreements:
        print(line)
    print(
        f"{len(matrix)} rows as ROCm {options.rocm}: {report.as_cuda} agree with CUDA,"
        f" {report.as_listed} differ as listed, {len(report.disagreements)} are not as expected"
    )
    return 1 if report.disagreements else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
