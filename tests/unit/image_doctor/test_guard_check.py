"""The doctor says whether the image has the capture guard, and whether it is on here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from image_doctor import guard_check
from image_doctor.check import Status
from image_doctor.guard_check import LIBRARY, check_capture_guard
from image_doctor.image import Image
from image_facts.description import PLACE


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image's root with the guard's file, and a process in which it is not loaded."""
    describe(tmp_path, capture_guard=True)
    library = tmp_path / LIBRARY.lstrip("/")
    library.parent.mkdir(parents=True)
    library.touch()
    maps = tmp_path / "maps"
    maps.write_text("7f00-7f01 r-xp 00000000 00:00 1 /usr/lib/libc.so.6\n")
    monkeypatch.setattr(guard_check, "MAPS", maps)
    return tmp_path


def describe(root: Path, **facts: object) -> None:
    path = root / PLACE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts))


def test_a_guard_that_is_there_is_off_by_default(root: Path) -> None:
    check = check_capture_guard(Image(root, {}))
    assert check.status is Status.PASS
    assert "there, and off" in check.found


def test_a_guard_that_is_loaded_is_on(root: Path) -> None:
    (root / "maps").write_text(f"7f00-7f01 r-xp 00000000 00:00 1 {LIBRARY}\n")
    check = check_capture_guard(Image(root, {"CAPTURE_GUARD": "1"}))
    assert (check.status, check.found) == (Status.PASS, "on in this process.")


def test_a_process_that_went_past_the_entrypoint_is_told_how_to_have_it(root: Path) -> None:
    check = check_capture_guard(Image(root, {"CAPTURE_GUARD": "1"}))
    assert check.status is Status.WARN
    assert "docker exec" in check.found
    assert "rocm-entrypoint" in check.advice


def test_a_value_that_is_neither_on_nor_off_fails(root: Path) -> None:
    check = check_capture_guard(Image(root, {"CAPTURE_GUARD": "yes"}))
    assert check.status is Status.FAIL
    assert "'yes'" in check.found


def test_a_guard_that_should_be_there_and_is_not_fails(root: Path) -> None:
    (root / LIBRARY.lstrip("/")).unlink()
    assert check_capture_guard(Image(root, {})).status is Status.FAIL


def test_an_image_that_needs_none_has_none(root: Path) -> None:
    describe(root, capture_guard=False)
    assert check_capture_guard(Image(root, {})).status is Status.PASS
    assert check_capture_guard(Image(root, {"CAPTURE_GUARD": "1"})).status is Status.WARN


def test_an_image_that_says_nothing_of_it_is_not_judged(root: Path) -> None:
    describe(root, cell="sglang-942-rocm7.2.0")
    assert check_capture_guard(Image(root, {})).status is Status.NOT_RUN
