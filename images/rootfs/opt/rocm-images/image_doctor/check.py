"""What one check found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Status(str, Enum):
    """How a check ended. Only FAIL makes the doctor's exit code 1."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    NOT_RUN = "not-run"


@dataclass(frozen=True)
class Check:
    """One line of the report: `found` and `advice` are sentences; a pass needs no advice."""

    name: str
    status: Status
    found: str
    advice: str = ""


def passed(name: str, found: str) -> Check:
    return Check(name, Status.PASS, found)


def failed(name: str, found: str, advice: str) -> Check:
    return Check(name, Status.FAIL, found, advice)


def warned(name: str, found: str, advice: str) -> Check:
    return Check(name, Status.WARN, found, advice)


def not_run(name: str, why: str, advice: str) -> Check:
    return Check(name, Status.NOT_RUN, why, advice)


def first_few(items: list[str], limit: int = 5) -> str:
    """The first items in one line, and how many more there are."""
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return "; ".join(items[:limit]) + more
