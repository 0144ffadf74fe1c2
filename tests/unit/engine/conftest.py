"""A machine without Docker, and the certificates of engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from reaching import without_docker
from tcp_engine import Certificates


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("ours") / "certificates")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Of another authority, and for another host."""
    return Certificates(tmp_path_factory.mktemp("theirs") / "certificates", "engine.example.org")


@pytest.fixture
def no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_docker(tmp_path, monkeypatch)
