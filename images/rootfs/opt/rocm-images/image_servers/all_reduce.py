"""Whose custom all-reduce a server takes: which variable chooses it, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

_RELEASE = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,9}")
_POST = re.compile(r"\.?post(\d{1,9})")
_MOST = 100


def is_at_least(version: str, wanted: str) -> bool:
    """Whether a release is not before another one; what is no version is before all.

    For programs that have the standard library alone: of PEP 440's order the release and its
    post-releases. What comes before a release (dev, a, b, rc) counts as that release: what is new
    in it may be there already.
    """
    return _order(version) >= _order(wanted)


def _order(version: str) -> tuple[tuple[int, ...], int]:
    version = version[:_MOST]
    found = _RELEASE.match(version)
    if not found:
        return (), 0
    numbers = [int(number) for number in found[0].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    post = _POST.match(version, found.end())
    return tuple(numbers), int(post[1]) + 1 if post else 0


class Switch(NamedTuple):
    """A variable of the environment that is true or false."""

    name: str
    default: str
    """What it is taken for where it is not set."""

    def read(self, environment: Mapping[str, str]) -> tuple[bool, str]:
        """Lower-cased, "true" or "1" is true, "false" or "0" false, anything else false too.

        Returns:
            What it is taken for, and a sentence about a value that is no boolean.
        """
        value = environment.get(self.name, self.default).lower()
        if value in ("true", "1", "false", "0"):
            return value in ("true", "1"), ""
        return False, (
            f"{self.name}={environment[self.name]!r} is no boolean; it is taken for false. "
            "Write 1 or 0."
        )


class AllReduce(NamedTuple):
    """The custom all-reduce that a server would take, and a warning about how it was asked for."""

    name: str
    """AllReduceVariable.on or .off."""
    warning: str | None


@dataclass(frozen=True)
class AllReduceVariable:
    """The environment variable that chooses the custom all-reduce, and how the server reads it."""

    name: str
    default: str
    """What it is taken for where it is not set."""
    on: str
    """Whose all-reduce a true value selects; it is the one that the capture bug is about."""
    off: str
    """Whose a false value selects."""
    titles: Mapping[str, str]
    """Both, as texts name them."""
    dispatch: str
    """The function of the server that is to decide by it."""
    since: str
    """The first release that reads it; one before leaves no choice, and is said to take `off`."""
    requires: tuple[Switch, ...] = ()
    """What must be true besides."""

    @property
    def switch(self) -> Switch:
        """The variable itself."""
        return Switch(self.name, self.default)

    def is_read_by(self, version: str | None) -> bool:
        """Whether that release of the server reads it; a version that is not known is a new one."""
        return version is None or is_at_least(version, self.since)

    def unmet(self, environment: Mapping[str, str]) -> tuple[Switch, ...]:
        """What must be true besides, and is not."""
        return tuple(one for one in self.requires if not one.read(environment)[0])

    def chosen(self, environment: Mapping[str, str], version: str | None = None) -> AllReduce:
        """What a release of the server (None: a new one) takes in an environment."""
        if not self.is_read_by(version):
            return AllReduce(self.off, None)
        switches = (*self.requires, self.switch)
        read = [one.read(environment) for one in switches]
        odd = " ".join(sentence for _, sentence in read if sentence)
        return AllReduce(self.on if all(on for on, _ in read) else self.off, odd or None)
