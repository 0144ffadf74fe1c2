"""Reaches engines as a test's environment names them, on a machine that has nothing of Docker."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from rocm_images.engine import endpoint, unreachable
from rocm_images.engine.connect import Engine, connect
from rocm_images.errors import EngineError


def without_docker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process see no engine, configuration or program of this machine's."""
    for module in (endpoint, unreachable):
        monkeypatch.setattr(module, "DEFAULT_SOCKET", folder / "docker.sock")
    monkeypatch.setattr(unreachable, "_FOLDERS", "")
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
    monkeypatch.setenv("PATH", str(folder / "bin"))
    for name in (*endpoint.CHOOSES, "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def with_tls(address: str, folder: Path, **variables: str) -> dict[str, str]:
    given = {"DOCKER_HOST": address, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(folder)}
    return {**os.environ, **given, **variables}


def works(engine: Engine) -> bool:
    with closing(engine.client()) as asking:
        return asking.containers.list() == [] and engine.answers()


def refused(environment: dict[str, str]) -> str:
    with pytest.raises(EngineError) as caught:
        connect({**os.environ, **environment})
    assert caught.value.exit_code == 3
    sentence = str(caught.value)
    assert len(sentence) < 600
    assert "\n" not in sentence
    return sentence
