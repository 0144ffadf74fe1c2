"""Says where the time of a run of tests went, by what benchmarks/suite_plugin.py wrote of each.

python -m benchmarks.suite FILE...
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Spent:
    """What a test, or the setup of a fixture, has spent, in seconds."""

    name: str
    wall: float = 0.0
    own: float = 0.0
    """CPU seconds of the test process."""
    children: float = 0.0
    """CPU seconds of processes that it started and that ended."""
    engine: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)
    waits: dict[str, float] = field(default_factory=dict)
    """Seconds of the clock, by the program or service that was waited for."""
    starts: dict[str, int] = field(default_factory=dict)

    @property
    def cpu(self) -> float:
        """CPU seconds of everything."""
        return self.own + self.children + self.engine


def tables(spent: Sequence[Spent], longest: int) -> Iterator[str]:
    """The account as lines of text: sums, by what is waited for, the dearest tests and files."""
    tests = [one for one in spent if not one.name.startswith("fixture ")]
    wall, cpu = sum(one.wall for one in tests), sum(one.cpu for one in tests)
    yield f"{len(tests)} tests: {wall:.0f} s of the clock, {cpu:.0f} s of the CPU"
    for kind in ("own", "children", "engine"):
        yield f"  {kind}: {sum(getattr(one, kind) for one in tests):.0f} s of the CPU"
    waits: Counter[str] = Counter()
    starts: Counter[str] = Counter()
    files: dict[str, list[Spent]] = {}
    for one in tests:
        waits.update(one.waits)
        starts.update(one.starts)
        files.setdefault(one.name.partition("::")[0], []).append(one)
    yield "waited for (seconds of the clock, times started):"
    for program, seconds in waits.most_common(longest):
        yield f"  {seconds:7.1f} {starts[program]:6} {program}"
    yield "files (seconds of the clock, of the CPU: own, children, engine; tests):"
    added = [
        Spent(
            f"{name} ({len(ones)})",
            *(sum(getattr(one, key) for one in ones) for key in ("wall", *_KINDS)),
        )
        for name, ones in files.items()
    ]
    yield from _dearest(added, longest)
    yield "tests:"
    yield from _dearest(tests, longest)
    yield "fixtures that tests share (their time is also the first test's):"
    yield from _dearest([one for one in spent if one not in tests], longest)


_KINDS = ("own", "children", "engine")


def _dearest(spent: Sequence[Spent], longest: int) -> Iterator[str]:
    for one in sorted(spent, key=lambda one: max(one.wall, one.cpu), reverse=True)[:longest]:
        kinds = " ".join(f"{getattr(one, kind):7.1f}" for kind in _KINDS)
        yield f"  {one.wall:7.1f} {one.cpu:7.1f}: {kinds}  {one.name}"


def main(arguments: Sequence[str]) -> int:
    """Print what accounts say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suite", description=__doc__)
    parser.add_argument("account", type=Path, nargs="+", help="what --account wrote")
    parser.add_argument("--longest", type=int, default=30, help="lines of each table")
    given = parser.parse_args(arguments)
    lines = [line for path in given.account for line in path.read_text().splitlines()]
    for line in tables([Spent(**json.loads(line)) for line in lines], given.longest):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
