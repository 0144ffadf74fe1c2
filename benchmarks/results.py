"""The results as a document and as tables: medians, ratios round by round, and targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks import scale
from benchmarks.measure import Measurement
from benchmarks.scale import BUILD_PY, exponent

Runs = Mapping[str, Sequence[Measurement]]
ScaleRuns = Mapping[str, Mapping[int, Sequence[Measurement]]]


@dataclass(frozen=True)
class Target:
    """At most `limit` in a scenario: a ratio to a contender, or seconds where there is none."""

    scenario: str
    against: str | None
    limit: float


TARGETS = (
    Target("nothing changed", None, 0.5),
    Target("nothing changed", "bake", 0.3),
    Target("nothing changed", "posit-bakery", 1.0),
    Target("one file of rootfs changed", "bake", 1.05),
    Target("cold cache", "one after the other", 0.6),
    Target("cold cache", "bake", 1.05),
    Target(scale.PLAN, scale.LIBRARIES, 4.0),
)
SCALE_CELLS = 10_000
SCALE_SECONDS = 15.0
# Growing linearly, as far as a fit over noisy runs can tell.
LINEAR = 1.1


@dataclass(frozen=True)
class Verdict:
    """A target and what was measured of it."""

    target: str
    measured: str
    met: bool
    missed_by: str


def ratio(runs: Runs, against: str) -> float:
    """The median of build.py's time to another's in the same round."""
    pairs = zip(runs[BUILD_PY], runs[against], strict=True)
    return median(ours.seconds / theirs.seconds for ours, theirs in pairs)


def verdicts(scenarios: Mapping[str, Runs], grown: ScaleRuns) -> Iterator[Verdict]:
    """Each target of what was measured."""
    for target in TARGETS:
        runs = scenarios.get(target.scenario)
        if not runs or BUILD_PY not in runs or (target.against and target.against not in runs):
            continue
        if target.against:
            text = f"{target.scenario}: at most {target.limit:g} times {target.against}"
            yield verdict(text, ratio(runs, target.against), target.limit, "times")
        else:
            value = median(run.seconds for run in runs[BUILD_PY])
            yield verdict(f"{target.scenario}: whole process", value, target.limit, "s")
    for verb, sizes in grown.items():
        medians = {cells: median(run.seconds for run in runs) for cells, runs in sizes.items()}
        if SCALE_CELLS in medians:
            text = f"{verb} of {SCALE_CELLS:,} cells"
            yield verdict(text, medians[SCALE_CELLS], SCALE_SECONDS, "s")
            yield verdict(f"{verb} grows linearly: exponent", exponent(medians), LINEAR, "")


def verdict(target: str, value: float, limit: float, unit: str) -> Verdict:
    """Whether a value is at most its limit, and by how much not."""
    missed = "" if value <= limit else f"{value / limit - 1:.0%}"
    at_most = f" (at most {limit:g}{' ' * bool(unit)}{unit})"
    text = target if "at most" in target else target + at_most
    return Verdict(text, f"{value:.2f}{' ' * bool(unit)}{unit}", not missed, missed)


def document(
    about: Mapping[str, str], scenarios: Mapping[str, Runs], grown: ScaleRuns, notes: Sequence[str]
) -> dict[str, Any]:
    """Everything, for machines: each single run too."""
    return {
        "about": dict(about),
        "notes": list(notes),
        "targets": [asdict(one) for one in verdicts(scenarios, grown)],
        "scenarios": {
            name: {contender: [asdict(run) for run in each] for contender, each in runs.items()}
            for name, runs in scenarios.items()
        },
        "scale": {
            verb: {str(cells): [asdict(run) for run in each] for cells, each in sizes.items()}
            for verb, sizes in grown.items()
        },
    }


def measured_in(
    document: Mapping[str, Any],
) -> tuple[dict[str, str], dict[str, Runs], ScaleRuns]:
    """What a `document` was made of, but for its notes."""
    scenarios: dict[str, Runs] = {
        name: {contender: _measurements(each) for contender, each in runs.items()}
        for name, runs in document["scenarios"].items()
    }
    grown = {
        verb: {int(cells): _measurements(each) for cells, each in sizes.items()}
        for verb, sizes in document["scale"].items()
    }
    return dict(document["about"]), scenarios, grown


def _measurements(runs: Sequence[Mapping[str, Any]]) -> list[Measurement]:
    return [Measurement(**run) for run in runs]


def page(
    about: Mapping[str, str], scenarios: Mapping[str, Runs], grown: ScaleRuns, notes: Sequence[str]
) -> str:
    """The same as a page of Markdown tables."""
    lines = ["# Benchmark results", "", "Written by `make bench`; benchmarks/README.md says how it"]
    lines += ["measures and where a comparison is not fair.", ""]
    lines += table(("", ""), about.items())
    lines += ["", "## Targets", ""]
    rows = [
        (v.target, v.measured, "met" if v.met else f"missed by {v.missed_by}")
        for v in verdicts(scenarios, grown)
    ]
    lines += table(("target", "measured", ""), rows)
    if notes:
        lines += ["", *(f"- {note}" for note in notes)]
    for name, runs in scenarios.items():
        lines += ["", f"## {name[0].upper()}{name[1:]}", ""]
        header = (
            "",
            "seconds (median)",
            "fastest",
            "slowest",
            "runs",
            "peak memory",
            "build.py's time to its",
        )
        lines += table(header, _scenario_rows(runs))
    if grown:
        lines += ["", "## Plan and render", ""]
        columns = ("", "cells", "seconds (median)", "runs", "peak memory", "exponent")
        lines += table(columns, _scale_rows(grown))
    return "\n".join(lines) + "\n"


def _scenario_rows(runs: Runs) -> Iterator[tuple[str, ...]]:
    for contender, each in runs.items():
        seconds = [run.seconds for run in each]
        times = (f"{value:.2f}" for value in (median(seconds), min(seconds), max(seconds)))
        against = "" if contender == BUILD_PY else f"{ratio(runs, contender):.2f}"
        yield (contender, *times, str(len(each)), _memory(each), against)


def _scale_rows(grown: ScaleRuns) -> Iterator[tuple[str, ...]]:
    for verb, sizes in grown.items():
        medians = {cells: median(run.seconds for run in each) for cells, each in sizes.items()}
        for cells, each in sizes.items():
            last = f"{exponent(medians):.2f}" if cells == max(sizes) else ""
            yield (verb, f"{cells:,}", f"{medians[cells]:.2f}", str(len(each)), _memory(each), last)


def _memory(runs: Sequence[Measurement]) -> str:
    return f"{median(run.peak_bytes for run in runs) / 1e6:.0f} MB"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table of Markdown."""
    return [
        f"| {' | '.join(header)} |",
        f"|{'---|' * len(header)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
