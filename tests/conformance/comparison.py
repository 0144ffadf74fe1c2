"""Holds what was found against what is expected, row by row: which rows changed, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from capture_tables import Difference, Observed, Row


class Report(NamedTuple):
    """How many rows are as expected, and a sentence for each that is not."""

    as_expected: int
    as_listed: int
    disagreements: list[str]


def compare(
    expected: Mapping[Row, Observed],
    found: Mapping[Row, Observed | str],
    differences: Sequence[Difference] = (),
) -> Report:
    """Each row must be as expected, or as the one difference that matches it says.

    `found` has a sentence where a row could not be measured: that never is as expected. A
    difference that matches no row, or whose row is as expected all the same, is a disagreement.
    """
    as_expected, as_listed, disagreements = 0, 0, []
    used: set[int] = set()
    for row, reference in expected.items():
        listed = [entry for entry in differences if entry.matches(row)]
        used.update(entry.line for entry in listed)
        where = f"{row.stream:12}  {row.capture_mode:12}  {row.caller:13}  {row.call}"
        got = found[row]
        if len(listed) > 1:
            lines = ", ".join(str(entry.line) for entry in listed)
            disagreements.append(f"{where}: lines {lines} of the differences both match")
        elif listed and got == reference:
            disagreements.append(
                f"{where}: as in the table ({got}); line {listed[0].line} of the differences is"
                " stale"
            )
        elif got != (listed[0].expected if listed else reference):
            want = f"{listed[0].expected} (listed)" if listed else str(reference)
            disagreements.append(f"{where}: {got} instead of {want}")
        elif listed:
            as_listed += 1
        else:
            as_expected += 1
    disagreements += [
        f"line {entry.line} of the differences matches no row"
        for entry in differences
        if entry.line not in used
    ]
    return Report(as_expected, as_listed, disagreements)
