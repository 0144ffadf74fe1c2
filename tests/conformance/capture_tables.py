"""The tables of tests/data: what a call inside a capture did on a runtime, a row for each call."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

TITLE = "# Measured: one foreign (or same-thread) runtime call made inside a stream capture. "
COLUMNS = (
    "# capture_stream\tcapture_mode\tcaller (other thread's mode, or same thread)\tcall"
    "\tcall_rc\tsurvived\tend_capture_rc"
)


class Unusable(Exception):
    """An input that nothing can be compared with; the message is a sentence."""


class Row(NamedTuple):
    """What identifies a measurement: the first four columns."""

    stream: str
    capture_mode: str
    caller: str
    call: str


class Observed(NamedTuple):
    """What a measurement found: the last three columns."""

    call_rc: int
    survived: int
    end_rc: int

    def __str__(self) -> str:
        fate = "survived" if self.survived else f"dead ({self.end_rc})"
        return f"{self.call_rc}, {fate}"


class Difference(NamedTuple):
    """One line of a file of differences; a pattern of None matches every value."""

    line: int
    pattern: tuple[str | None, ...]
    expected: Observed

    def matches(self, row: Row) -> bool:
        return all(want in (None, have) for want, have in zip(self.pattern, row, strict=True))


def read_matrix(path: Path, calls: Collection[str]) -> dict[Row, Observed]:
    """The rows in the order of measurement; some depend on the rows before them.

    Raises Unusable for a row whose call is not among `calls`.
    """
    matrix: dict[Row, Observed] = {}
    for line, cells in _table(path, 7):
        row = Row(*cells[:4])
        if row.call not in calls:
            raise Unusable(f"{path}:{line} has a call that is not known here: {row.call}.")
        matrix[row] = _observed(path, line, cells[4:])
    return matrix


def write_matrix(path: Path, title: str, found: Mapping[Row, Observed | str]) -> None:
    """Writes a table; a row that could not be measured is a comment that says why."""
    lines = [TITLE + title, COLUMNS]
    for row, answer in found.items():
        cells: Sequence[object] = (
            [*row, *answer] if isinstance(answer, Observed) else [*row, answer]
        )
        comment = "" if isinstance(answer, Observed) else "# "
        lines.append(comment + "\t".join(map(str, cells)))
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise Unusable(f"{path} cannot be written: {error.strerror}.") from None


def read_differences(path: Path) -> list[Difference]:
    """What is expected instead of a table's answer; the eighth column says who says so."""
    differences = []
    for line, cells in _table(path, 8):
        pattern = tuple(None if cell == "*" else cell for cell in cells[:4])
        differences.append(Difference(line, pattern, _observed(path, line, cells[4:7])))
    return differences


def _table(path: Path, columns: int) -> list[tuple[int, list[str]]]:
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


def _observed(path: Path, line: int, cells: list[str]) -> Observed:
    try:
        return Observed(*(int(cell) for cell in cells))
    except ValueError:
        raise Unusable(f"{path}:{line} has a result that is no number: {cells}.") from None
