"""Turns checks into text for people and into the JSON object for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from image_doctor.check import Check, Status

SCHEMA_VERSION = 1


def exit_code(checks: Sequence[Check]) -> int:
    return 1 if any(check.status is Status.FAIL for check in checks) else 0


def as_text(cell: str | None, checks: Sequence[Check]) -> str:
    lines = [f"image    {cell}"] if cell else []
    for check in checks:
        lines.append(f"{check.status.value:<8} {check.name}: {check.found}")
        if check.advice:
            lines.append(f"         {check.advice}")
    count = Counter(check.status for check in checks)
    counts = ", ".join(f"{count[status]} {status.value}" for status in Status if count[status])
    return "\n".join([*lines, f"result   {counts}"])


def as_json(cell: str | None, checks: Sequence[Check]) -> dict[str, object]:
    """Keys are always there; `cell` is null where image.json names none."""
    return {
        "schema_version": SCHEMA_VERSION,
        "cell": cell,
        "exit_code": exit_code(checks),
        "checks": [
            {
                "name": check.name,
                "status": check.status.value,
                "found": check.found,
                "advice": check.advice,
            }
            for check in checks
        ],
    }
