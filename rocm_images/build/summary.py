"""What became of every cell: a table for people, build/summary.json for machines."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

from rocm_images import references
from rocm_images.errors import ExitCode
from rocm_images.files import write_json
from rocm_images.masking import masked
from rocm_images.plan.cells import Cell
from rocm_images.sizes import NOT_KNOWN, Sizes
from rocm_images.smoke.evidence import Evidence
from rocm_images.smoke.junit import junit_path
from rocm_images.tables import Column, text_table
from rocm_images.telling import counted


class Result(str, enum.Enum):
    """How a cell ended."""

    DONE = "done"
    TESTED = "tested"
    """It was there already, and was tested just now."""
    UP_TO_DATE = "up to date"
    PULLED = "pulled"
    IN_REGISTRY = "in the registry"
    BUILD_FAILED = "build failed"
    SMOKE_FAILED = "smoke test failed"
    ENGINE_FAILED = "engine failed"
    REGISTRY_FAILED = "registry failed"
    NOT_VERIFIED = "not verified"
    SYSTEM_REFUSED = "system refused"
    INTERRUPTED = "interrupted"

    @classmethod
    def of(cls, code: ExitCode) -> Result:
        """How a cell ended whose work met a failure with a code; most are failed builds."""
        return next((result for result, known in _CODES.items() if known is code), cls.BUILD_FAILED)

    def __str__(self) -> str:
        return self.value


# In the order in which they count: what says most of how far to trust the others comes first.
_CODES = {
    Result.INTERRUPTED: ExitCode.INTERRUPTED,
    Result.NOT_VERIFIED: ExitCode.VERIFICATION_FAILED,
    Result.ENGINE_FAILED: ExitCode.ENGINE_UNUSABLE,
    Result.REGISTRY_FAILED: ExitCode.REGISTRY_FAILED,
    Result.SYSTEM_REFUSED: ExitCode.SYSTEM_REFUSED,
    Result.BUILD_FAILED: ExitCode.BUILD_FAILED,
    Result.SMOKE_FAILED: ExitCode.SMOKE_FAILED,
}
GOOD_RESULTS = frozenset(
    {Result.DONE, Result.TESTED, Result.UP_TO_DATE, Result.PULLED, Result.IN_REGISTRY}
)
ELSEWHERE = "build/summary.json has all"
EVIDENCE_ELSEWHERE = "build/evidence/ has all"
SCHEMA = 2
"""Of build/summary.json."""


@dataclass(frozen=True)
class CellReport:
    """What became of one cell; empty texts mean that nothing is known."""

    cell: str
    result: Result
    reference: str = ""
    image_id: str = ""
    sizes: Sizes = NOT_KNOWN
    seconds: float = 0.0
    evidence: Evidence | None = None
    detail: str = ""
    tail: tuple[str, ...] = ()
    log: str = ""

    @classmethod
    def of(cls, cell: Cell, result: Result, *, reference: str = "", detail: str = "") -> CellReport:
        """The report of a cell of which no more is known."""
        return cls(cell.name, result, reference=reference, detail=detail)

    def of_image(self, image_id: str) -> CellReport:
        """The same report with the image that was built, or found."""
        return replace(self, image_id=image_id)

    def measured(self, sizes: Mapping[str, Sizes]) -> CellReport:
        """The same report with the sizes of its image, by image id, where they are among these."""
        return replace(self, sizes=sizes.get(self.image_id, NOT_KNOWN))

    @property
    def smoke(self) -> str:
        """The outcome of the smoke test in words."""
        if self.evidence is None:
            return "not run"
        total = self.evidence.tests_passed + self.evidence.tests_failed
        passed = f"{self.evidence.tests_passed} of {counted(total, 'test')} passed"
        return f"{passed} ({self.evidence.level})"

    def tested(self, evidence: Evidence) -> CellReport:
        """The same report with what the smoke test found."""
        return replace(self, evidence=evidence)

    def after(self, seconds: float) -> CellReport:
        """The same report with the time that it took."""
        return replace(self, seconds=round(seconds, 1))

    def failed(self, result: Result, *, detail: str, tail: Sequence[str], log: Path) -> CellReport:
        """The same report with what went wrong and where to read more."""
        return replace(self, result=result, detail=detail, tail=tuple(tail), log=str(log))


def exit_code(reports: Sequence[CellReport]) -> ExitCode:
    """The exit code of a run: that of the result that counts most (`_CODES`)."""
    results = {report.result for report in reports}
    return next((code for result, code in _CODES.items() if result in results), ExitCode.DONE)


def summary_table(reports: Sequence[CellReport]) -> str:
    """One line for each cell."""
    rows = [
        (
            report.cell,
            report.reference or "-",
            references.short(report.image_id) or "-",
            *report.sizes.words,
            f"{report.seconds:.1f}",
            report.smoke,
            str(report.result),
        )
        for report in reports
    ]
    header = (
        "CELL",
        Column.detail("TAG"),
        Column.detail("IMAGE"),
        Column.number("COMPRESSED"),
        Column.number("UNPACKED"),
        Column.number("SECONDS", extra=True),
        Column.words("SMOKE TEST"),
        Column.words("RESULT"),
    )
    return text_table(header, rows, elsewhere=ELSEWHERE)


def evidence_table(reports: Sequence[CellReport]) -> str:
    """One line for each image that was tested: on what, and what was found; "" for none."""
    rows = [
        (
            found.cell,
            str(found.level),
            found.devices,
            found.runtime,
            found.measured,
            found.capture,
            # `replays-right` may wrap, too.
            found.replay if found.replay == "-" else found.replay.replace("-", " "),
            found.judgement,
            found.tokens_per_second,
            found.served,
            f"{found.seconds:.1f}",
        )
        for found in (report.evidence for report in reports)
        if found is not None
    ]
    header = (
        "CELL",
        "LEVEL",
        Column.words("DEVICES", extra=True),
        Column.words("RUNTIME", extra=True),
        Column.words("WHOSE"),
        Column.words("CAPTURE"),
        Column.words("REPLAY"),
        Column.words("ALL-REDUCE"),
        Column.words("TOKENS/S", extra=True),
        Column.words("SERVE", extra=True),
        Column.number("SECONDS", extra=True),
    )
    return text_table(header, rows, elsewhere=EVIDENCE_ELSEWHERE) if rows else ""


def failures(reports: Sequence[CellReport]) -> str:
    """For each cell that failed: the failing step, the end of its log, and where the rest is."""
    chunks = []
    for report in reports:
        if report.result not in {*GOOD_RESULTS, Result.INTERRUPTED}:
            lines = [f"{report.cell}: {report.result}: {report.detail}"]
            lines += [f"    {line}" for line in report.tail]
            if report.log:
                lines.append(f"  full log: {report.log}")
            chunks.append("\n".join(lines))
    return masked("\n\n".join(chunks))


class Tested(TypedDict):
    """On what an image passed its tests, or did not."""

    level: str
    passed: bool


class CellSummary(TypedDict):
    """What machines read of one cell's report in build/summary.json."""

    cell: str
    result: str
    reference: str
    image_id: str
    seconds: float
    evidence: Tested | None
    detail: str
    tail: Sequence[str]
    log: str
    compressed: int | None
    unpacked: int | None
    smoke: str
    junit: str | None
    """A path from the folder of the file, which a CI puts elsewhere."""


def write_summary(path: Path, reports: Sequence[CellReport]) -> None:
    """Write the reports as JSON, whole or not at all."""
    document = {
        "schema": SCHEMA,
        "exit_code": int(exit_code(reports)),
        "cells": [_as_json(report, path.parent) for report in reports],
    }
    write_json(path, document)


def _as_json(report: CellReport, folder: Path) -> CellSummary:
    found = report.evidence
    junit = junit_path(folder / "evidence", report.image_id) if found else None
    return {
        "cell": report.cell,
        "result": str(report.result),
        "reference": report.reference,
        "image_id": report.image_id,
        "seconds": report.seconds,
        "evidence": {"level": str(found.level), "passed": found.passed} if found else None,
        "detail": report.detail,
        "tail": report.tail,
        "log": report.log,
        "compressed": report.sizes.compressed,
        "unpacked": report.sizes.unpacked,
        "smoke": report.smoke,
        "junit": str(junit.relative_to(folder)) if junit and junit.exists() else None,
    }
