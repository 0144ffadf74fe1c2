"""The results of pushes and pulls as a document and as tables, with their targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from benchmarks.pulling.publishing import BAKE, PUBLISH, STEP
from benchmarks.pulling.rounds import COLD, DELTA, Run, Runs
from benchmarks.pulling.ways import GZIP, GZIP_BEFORE, ZSTD, ZSTD_BASE
from benchmarks.results import Verdict, table, verdict

COLD_TIMES, DELTA_SHARE, PUBLISH_TIMES = 0.35, 0.1, 1.1


def ratio(runs: Mapping[str, Sequence[Run]], ours: str, theirs: str) -> float:
    """The median of one's time to another's in the same round."""
    pairs = zip(runs[ours], runs[theirs], strict=True)
    return median(one.seconds / other.seconds for one, other in pairs)


def share(runs: Sequence[Run]) -> float:
    """The median of what was pulled to what the image has, in bytes."""
    return median(run.sent_bytes / run.image_bytes for run in runs)


def verdicts(found: Runs) -> Iterator[Verdict]:
    """Each target of what was measured."""
    for step, runs in found.items():
        if step.startswith(COLD):
            for way in (ZSTD_BASE, ZSTD):
                text = f"{step}, unpacked, {way}: at most {COLD_TIMES} times {GZIP}"
                yield verdict(text, ratio(runs, way, GZIP), COLD_TIMES, "times")
    for way in (ZSTD, GZIP_BEFORE) if DELTA in found else ():
        text = f"{DELTA} of a new server, {way}: at most {DELTA_SHARE} of the image's bytes"
        yield verdict(text, share(found[DELTA][way]), DELTA_SHARE, "of them")
    if runs := found.get(STEP, {}):
        text = f"{STEP}: at most {PUBLISH_TIMES} times {BAKE}"
        yield verdict(text, ratio(runs, PUBLISH, BAKE), PUBLISH_TIMES, "times")


def document(about: Mapping[str, str], found: Runs, notes: Sequence[str]) -> dict[str, Any]:
    """Everything measured, each single run too."""
    return {
        "about": dict(about),
        "notes": list(notes),
        "targets": [asdict(one) for one in verdicts(found)],
        "steps": {
            step: {way: [asdict(run) for run in each] for way, each in runs.items()}
            for step, runs in found.items()
        },
    }


def measured_in(document: Mapping[str, Any]) -> tuple[dict[str, str], Runs]:
    """What a `document` was made of, but for its notes."""
    found = {
        step: {way: [Run(**run) for run in each] for way, each in runs.items()}
        for step, runs in document["steps"].items()
    }
    return dict(document["about"]), found


def page(about: Mapping[str, str], found: Runs, notes: Sequence[str]) -> str:
    """The same as a page of Markdown tables."""
    lines = ["# Pushes, pulls and publishing", "", "Written by `python -m benchmarks.pulling`;"]
    lines += ["benchmarks/README.md says how it measures and where a comparison is not fair.", ""]
    lines += table(("", ""), about.items())
    lines += ["", "## Targets", ""]
    rows = [
        (one.target, one.measured, "met" if one.met else f"missed by {one.missed_by}")
        for one in verdicts(found)
    ]
    lines += table(("target", "measured", ""), rows)
    if notes:
        lines += ["", *(f"- {note}" for note in notes)]
    for step, runs in found.items():
        lines += ["", f"## {step[0].upper()}{step[1:]}", ""]
        against = BAKE if BAKE in runs else GZIP
        columns = ("", "seconds (median)", "fastest", "slowest", "runs", "peak memory")
        header = (*columns, "pulled", "of the image", f"its time to that of {against}")
        lines += table(header, _rows(runs, against))
    return "\n".join(lines) + "\n"


def _rows(runs: Mapping[str, Sequence[Run]], against: str) -> Iterator[tuple[str, ...]]:
    for way, each in runs.items():
        seconds = [run.seconds for run in each]
        times = (f"{value:.2f}" for value in (median(seconds), min(seconds), max(seconds)))
        memory = f"{median(run.peak_bytes for run in each) / 1e6:.0f} MB"
        pulled = whole = ""
        if all(run.image_bytes for run in each):
            pulled = f"{median(run.sent_bytes for run in each) / 1e6:.0f} MB"
            whole = f"{share(each):.3f}"
        compared = "" if way == against else f"{ratio(runs, way, against):.2f}"
        yield (way, *times, str(len(each)), memory, pulled, whole, compared)
