"""Verifies a file of evidence: its seal, its schema, and that it does not contradict itself.

A seal is a checksum. It shows that a file was changed, by accident or by hand; who can compute it
anew can still lie, which the rules below make harder and no rule makes impossible.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rocm_images.errors import EvidenceInvalid, InputError
from rocm_images.foreign import document_of
from rocm_images.plan.cells import Cell
from rocm_images.smoke.evidence import SEAL, Evidence, Level, has_served, level_of, seal_of
from rocm_images.smoke.selftest import TIERS, Selftest, Tier
from rocm_images.telling import counted

_NO_DEVICE = 20  # graph-probe's exit code
_CLOCKS_APART = datetime.timedelta(days=1)


def read_document(path: Path) -> dict[str, Any]:
    """The JSON object of a file that was written as evidence, be it changed since.

    Raises:
        InputError: it cannot be read, or never was evidence.
        EvidenceInvalid: it is no JSON, as of a file that was cut off.
    """
    try:
        document = document_of(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise EvidenceInvalid(f"{path} is no text file") from None
    except ValueError as error:
        raise EvidenceInvalid(f"{path} is no JSON, or was cut off: {error}") from None
    if not isinstance(document, dict) or SEAL not in document:
        raise InputError(
            f"{path} is no evidence: it has no {SEAL!r}, the checksum that every test writes with "
            "it: name the evidence.json of a self-test, or build/evidence/IMAGE_ID.json of a smoke "
            "test"
        )
    return document


def verify(path: Path, cells: Sequence[Cell]) -> Selftest | Evidence:
    """The evidence of a self-test, or of a smoke test, when everything about it is in order.

    Raises:
        InputError: the file cannot be read, or never was evidence.
        EvidenceInvalid: with every problem that was found, one a line.
    """
    document = read_document(path)
    if document[SEAL] != seal_of(document):
        raise EvidenceInvalid(
            f"{path}: its content does not have the checksum that was written with it: it was "
            "changed after the test. Ask for the file as the self-test wrote it"
        )
    if "kind" not in document:
        return _smoke_evidence(path)
    try:
        found = Selftest.model_validate(document)
    except ValidationError as error:
        lines = [
            f"{path}: {'.'.join(str(part) for part in problem['loc']) or 'it'}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise EvidenceInvalid("\n".join(lines)) from None
    try:
        problems = [f"{path}: {sentence}" for sentence in contradictions(found, cells)]
    except (AttributeError, KeyError, TypeError):  # a list where an object belongs, and the like
        problems = [f"{path}: what its tiers found is not what their programs print"]
    if problems:
        raise EvidenceInvalid("\n".join(problems))
    return found


def contradictions(found: Selftest, cells: Sequence[Cell]) -> Iterator[str]:
    """Every way in which a self-test's file contradicts itself, or the matrix."""
    names = tuple(tier.name for tier in found.tiers)
    if names != TIERS:
        yield f"its tiers are {', '.join(names) or 'none'}: the test did not finish"
    probe, serve, race = (found.tier(name) for name in ("probe", "serve", "race"))
    supported = _supported(probe, serve)
    if found.claimed is not supported:
        yield f"it claims the level {found.level}, and what ran amounts to {supported}"
    statuses = {tier.status for tier in found.tiers}
    passed = "passed" in statuses and "failed" not in statuses
    if found.passed is not passed:
        yield f"it says passed: {found.passed}, and its tiers say otherwise"
    for tier in found.tiers:
        yield from _of_tier(tier)
    for servers, of_servers in ((serve, _of_serve), (race, _of_race)):
        if probe and servers and servers.found is not None and servers.status != "not-run":
            yield from _of_machine(probe.found or {}, servers)
            yield from of_servers(servers.found)
    if race and race.status != "not-run" and not (serve and serve.status == "passed"):
        yield "the race ran, and the serve tier, which has to pass before it, did not"
    yield from _of_image(found, cells)
    try:
        written = found.written
        if written.tzinfo is None or written > _now() + _CLOCKS_APART:
            yield f"its date, {found.date}, is in the future, or has no time zone"
    except ValueError:
        yield f"its date, {found.date!r}, is none"


def _supported(probe: Tier | None, serve: Tier | None) -> Level:
    served = serve.found if serve and serve.status == "passed" else None
    return level_of(Level.GPU, probe.found if probe else None, served)


def _of_tier(tier: Tier) -> Iterator[str]:
    if (tier.status == "passed") != (tier.exit_code == 0):
        yield f"tier {tier.name} is {tier.status} with exit code {tier.exit_code}"
    if tier.status == "passed" and tier.found is None:
        yield f"tier {tier.name} passed, and holds nothing that was found"
    if tier.status == "not-run" and tier.exit_code not in (None, _NO_DEVICE):
        yield f"tier {tier.name} was not run, and ended with exit code {tier.exit_code}"
    inner = (tier.found or {}).get("exit_code", tier.exit_code)
    if tier.found is not None and inner != tier.exit_code:
        yield f"tier {tier.name} ended with {tier.exit_code}, and its result says {inner}"
    if tier.name == "doctor" and tier.status == "passed":
        checks = (tier.found or {}).get("checks") or []
        failed = [check.get("name") for check in checks if check.get("status") == "fail"]
        if failed or not checks:
            yield f"tier doctor passed, and {', '.join(map(str, failed)) or 'no check'} did not"


def _of_machine(probe: Mapping[str, Any], tier: Tier) -> Iterator[str]:
    """What the serve tier and the race are both held to: the probe's GPUs, and their own checks."""
    found = tier.found or {}
    devices = [device.get("name") for device in probe.get("devices") or []]
    if [device.get("name") for device in found.get("devices") or []] != devices:
        yield f"the probe and the servers of tier {tier.name} ran on other devices"
    for size in [*(found.get("sizes") or []), *(found.get("races") or [])]:
        number = size.get("tensor_parallel")
        if not isinstance(number, int) or not 1 <= number <= len(devices):
            yield f"a server of tier {tier.name} ran on {counted(number, 'GPU')}, of {len(devices)}"
        checks = size.get("checks") or []
        all_passed = bool(checks) and all(check.get("passed") is True for check in checks)
        if size.get("passed") is not all_passed:
            yield (
                f"TP {number} of tier {tier.name} says passed: {size.get('passed')}, and its "
                "checks say otherwise"
            )


def _of_serve(serve: Mapping[str, Any]) -> Iterator[str]:
    for size in serve.get("sizes") or []:
        number, graph, eager = size.get("tensor_parallel"), size.get("graph"), size.get("eager")
        graph, eager = graph or {}, eager or {}
        if size.get("passed") and not (graph.get("loads") and graph.get("greedy")):
            yield f"TP {number} passed, and holds neither tokens nor their rate"
        if size.get("passed") and len(graph.get("greedy") or []) != len(eager.get("greedy") or []):
            yield f"TP {number} passed, and eager answered another number of prompts"
    if serve.get("exit_code") == 0 and not has_served(serve):
        yield "the serve tier ended with 0, and not every size passed"


def _of_race(race: Mapping[str, Any]) -> Iterator[str]:
    races = race.get("races") or []
    if race.get("exit_code") == 0 and not (races and all(size.get("passed") for size in races)):
        yield "the race ended with 0, and not every size passed"
    for size in races:
        if size.get("passed") and not (size.get("captures") and size.get("watchdog_periods")):
            yield f"the race at TP {size.get('tensor_parallel')} passed, and held no capture open"


def _of_image(found: Selftest, cells: Sequence[Cell]) -> Iterator[str]:
    cell, gfx = found.image.text("cell"), found.image.text("gfx")
    if found.image.description is None:
        yield "it does not say which image it is about: image.json was not there"
        return
    known = next((known for known in cells if known.name == cell), None)
    if known is None:
        yield f"its image is of the cell {cell!r}, which this matrix does not have"
    elif (known.gfx, known.rocm) != (gfx, found.image.text("rocm")):
        yield f"its image says {gfx} and ROCm {found.image.text('rocm')}; {cell} is another one"
    probe = found.tier("probe")
    for device in ((probe.found if probe else None) or {}).get("devices") or []:
        if probe and probe.status == "passed" and device.get("gfx") != gfx:
            yield f"the probe passed on {device.get('gfx')}, and the image is for {gfx}"


def _smoke_evidence(path: Path) -> Evidence:
    found = Evidence.read(path.parent, f"sha256:{path.stem}")
    if found is None:
        raise EvidenceInvalid(
            f"{path} is no evidence of a self-test; and as that of a smoke test it must lie under "
            "the name of its image's id, and hold all of its fields"
        )
    problems = []
    if not level_of(Level.GPU, found.probe, found.serve).reaches(found.level):
        problems.append(f"it claims the level {found.level}, which its findings do not amount to")
    if found.passed is not (found.tests_passed > 0 and not found.failures):
        problems.append(f"it says passed: {found.passed}, and its tests say otherwise")
    if found.tests_failed != len(found.failures):
        problems.append(f"it counts {found.tests_failed} failures and lists {len(found.failures)}")
    if problems:
        raise EvidenceInvalid("\n".join(f"{path}: {sentence}" for sentence in problems))
    return found


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)
