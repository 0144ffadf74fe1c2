"""No pattern of the judge's looks at all of a line from each of its characters.

One does that has a repeat without a bound, where what stands before the repeat fits within it, and
what stands after it does not come: `hip\\w* failed` on a line of `hiphiphip...`.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import image_servers
import serve_probe
from image_servers import SERVERS
from serve_probe import faults
from serve_probe.causes import CAUSES
from serve_probe.judge import judge_log
from serve_probe.log_lines import MOST_CHARACTERS
from serve_probe.server_log import ServerLog
from serve_probe.verdict import Ending

if sys.version_info >= (3, 11):
    from re import _parser as parser
else:
    import sre_parse as parser

MOST_REPEATS = 1000
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_ASSERTIONS = ("ASSERT", "ASSERT_NOT")


def unbounded(pattern: str, flags: int = 0) -> bool:
    """Whether something of a pattern repeats more than MOST_REPEATS times, and may be in vain.

    It is not where it ends the pattern: what comes so far has been found.
    """
    return _unbounded(parser.parse(pattern, flags), goes_on=False)


def _unbounded(items: Any, goes_on: bool) -> bool:
    for place, (kind, value) in enumerate(items, 1):
        more = goes_on or place < len(items)
        if str(kind) in _REPEATS:
            _, most, inner = value
            if (more and most > MOST_REPEATS) or _unbounded(inner, more or most > 1):
                return True
        elif any(_unbounded(one, more or str(kind) in _ASSERTIONS) for one in _held_by(value)):
            return True
    return False


def _held_by(value: object) -> Iterator[Any]:
    """The sequences that a group, an alternative or an assertion has."""
    if isinstance(value, parser.SubPattern):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _held_by(one)


def patterns_of(value: object) -> Iterator[re.Pattern[str]]:
    """Those that a module's name stands for, in whatever they lie."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, Mapping):
        yield from patterns_of(tuple(value.values()))
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from patterns_of(one)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from patterns_of(tuple(vars(value).values()))


def patterns() -> dict[str, re.Pattern[str]]:
    """All that are looked for in a log, by their text."""
    found: dict[str, re.Pattern[str]] = {}
    for package in (serve_probe, image_servers):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            names = vars(importlib.import_module(module.name))
            for pattern in patterns_of(tuple(names.values())):
                found[pattern.pattern] = pattern
    return found


@pytest.mark.parametrize(
    ("pattern", "has_none"),
    [
        (r"hip\w* failed", False),
        (r"(?:cuda|hip)\w{0,60} failed", True),
        (r"a|hip(?:\w+ failed|b)", False),
        (r"hip(?:\w{1,60}:)* failed", False),
        (r"hip(?:\w*:){0,8}", False),
        (r"hip(?=\w*)", False),
        (r"hip(?!\w*)", False),
        (r"hip\w{0,65536}\b", False),
        (r"hip.*?(?:code)?$", False),
        (r"hip (?:failed with (.+)|\w+)", True),
        (r"hip(?:\w*)?", True),
    ],
)
def test_a_repeat_without_a_bound_is_seen(pattern: str, has_none: bool) -> None:
    assert unbounded(pattern) is not has_none


def test_no_pattern_has_a_repeat_without_a_bound() -> None:
    found = patterns()
    assert {cause.pattern.pattern for cause in (*CAUSES, *faults.RUNTIME)} <= found.keys()
    for server in SERVERS.values():
        assert {pattern.pattern for pattern in patterns_of(server.log)} <= found.keys()
    assert [text for text, one in found.items() if unbounded(text, one.flags)] == []


@pytest.mark.parametrize("name", sorted(SERVERS))
@pytest.mark.parametrize("words", ["cuda", "hip", "!", "BLAS_STATUS_"])
def test_lines_made_to_take_long_do_not(name: str, words: str) -> None:
    line = f"RuntimeError: {words * (MOST_CHARACTERS // len(words))}"[:MOST_CHARACTERS]
    text = f"Traceback (most recent call last):\n{line}\n" * 5
    begun = time.process_time()
    judge_log(ServerLog(text, SERVERS[name].log), Ending(status=1))
    # Of this process's own time: minutes where a pattern looks at each character from each one.
    assert time.process_time() - begun < 20
