"""An engine that is not there, and builds that are asked for and not done."""

from __future__ import annotations

from pathlib import Path

import pytest

from rocm_images.build import run
from rocm_images.build.run import BuildCommand


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[BuildCommand]:
    """What `build` was asked for."""
    asked: list[BuildCommand] = []
    monkeypatch.setattr(run, "build_and_test", lambda *given: asked.append(given[-1]) or 0)
    return asked
