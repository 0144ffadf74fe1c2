"""What cannot be measured fails its test, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal import bases, hip_packages
from rehearsal.laboratory import Laboratory
from rocm_images.errors import EngineError


def test_a_runtime_that_debian_dropped_is_an_error_that_says_what_to_pin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bases, "HIP_CACHE", tmp_path)
    for release in hip_packages.pinned():
        hip_packages.note_unusable(tmp_path, release)
        with pytest.raises(EngineError, match=rf"{release} is not to be had.*hip_packages\.json"):
            Laboratory("no container", {}).runtime(release)
