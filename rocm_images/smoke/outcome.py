"""Reads what one run of the image tests left in its folder."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import TYPE_CHECKING

from rocm_images import telling
from rocm_images.errors import EvidenceInvalid
from rocm_images.foreign import document_of
from rocm_images.smoke.evidence import Level
from rocm_images.smoke.shape import Probe, Serve, fits

if TYPE_CHECKING:
    from pydantic import BaseModel


def read_outcome(results: Path, status: int | str, log: Path) -> tuple[int, tuple[str, ...]]:
    """Tests passed, and a line for each that failed, from pytest's JUnit file.

    A run that left no file, ran no test, died or was stopped (then `status` says why) has failed.
    """
    passed, failed = 0, []
    try:
        cases = list(ElementTree.parse(results).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        cases = []
    for case in cases:
        bad = [child for child in case if child.tag in ("failure", "error", "skipped")]
        if bad:
            # A skipped test proved nothing, so it does not count as passed.
            message = (bad[0].get("message") or bad[0].tag).splitlines()[0]
            failed.append(f"{case.get('name')}: {message}")
        else:
            passed += 1
    if isinstance(status, str):
        failed.insert(0, f"pytest {status}: see {log}")
    if not failed and (status != 0 or passed == 0):
        failed.append(
            f"pytest ended with status {status} after {telling.counted(passed, 'test')}: see {log}"
        )
    return passed, tuple(failed)


def read_serve(path: Path, image_id: str, device: Level) -> dict[str, object]:
    """What the serve tier printed in the image, or why it did not run."""
    if not device.reaches(Level.GPU):
        return {"not_run": "no GPU"}
    return read_findings(path, image_id, Serve) or {"not_run": "it gave no result"}


def read_findings(
    path: Path, image_id: str, shape: type[BaseModel] = Probe
) -> dict[str, object] | None:
    """What a program printed in the image; None where it did not run, or printed something else.

    The tests leave it with the image that the engine says their container is of.

    Raises:
        EvidenceInvalid: that is another image.
    """
    try:
        document = document_of(path)
        found: dict[str, object] | None = document["found"]
        ran_in = document["image_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if ran_in != image_id:
        raise EvidenceInvalid(
            f"the tests of {image_id} ran in a container of {ran_in}: nothing is known of either; "
            "test it again"
        )
    if found is None or fits(shape, found):
        return found
    telling.failure(f"{path.name}: not what the programs of images print, so it does not count")
    return None
