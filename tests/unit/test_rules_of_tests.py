"""Rules that every test keeps, whoever writes it."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def lines_with(pattern: str, folder: Path) -> list[str]:
    """Where a pattern is in the tests, as `file:line: text`."""
    return [
        f"{path.relative_to(TESTS)}:{number}: {line.strip()}"
        for path in sorted(folder.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(pattern, line)
    ]


def test_no_test_is_skipped() -> None:
    assert lines_with(r"\b(pytest|mark)\.(skip|xfail)|\bimportorskip\b", TESTS) == []


def test_no_unit_test_imports_a_conftest() -> None:
    # Several folders in one call of pytest have one module of that name, the last one's.
    assert lines_with(r"^\s*(from|import) conftest\b", TESTS / "unit") == []
