"""Whatever is asked and says nothing is given up with a sentence, and nothing of it is left."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from made_up_programs import Silent
from rocm_images.ci import at_commit
from rocm_images.engine import buildx_program, logins, machine
from rocm_images.errors import EngineError, InputError, NoImageFits, RegistryError
from rocm_images.lock import upstream
from rocm_images.registry import cosign
from rocm_images.registry.address import RegistryAddress


def verify(_: Path) -> None:
    registry = RegistryAddress.parse("registry.example.org/team")
    cosign.Cosign(registry, os.environ).verify("an-image", cosign.Trust("cosign.pub"))


def log_in(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"credsStore": "silent"}))
    logins.credentials_of("registry.example.org")


@pytest.mark.parametrize(
    ("name", "module", "seconds", "ask", "failure", "sentence"),
    [
        ("cosign", cosign, "SECONDS", verify, RegistryError, "cosign verify gave no answer"),
        (
            "docker-credential-silent",
            logins,
            "HELPER_SECONDS",
            log_in,
            RegistryError,
            "credsStore names docker-credential-silent, which gave no answer within 1 s.*: mend",
        ),
        (
            "git",
            at_commit,
            "GIT_SECONDS",
            lambda folder: at_commit.build_ids_at("HEAD", folder / "matrix.yaml", ()),
            InputError,
            "git rev-parse gave no answer within 1 s: see whether",
        ),
        (
            "git",
            upstream,
            "TIMEOUT_SECONDS",
            lambda _: upstream.commit_of("https://git.example.org/a.git", "v1"),
            upstream.Unresolved,
            "no answer within 1 s",
        ),
        (
            "sh",
            machine,
            "SECONDS",
            lambda folder: machine.devices(folder),
            NoImageFits,
            "takes longer than 1.0 s to read, so it is no kernel's",
        ),
        (
            "docker-buildx",
            buildx_program,
            "SECONDS",
            lambda folder: buildx_program.buildx_command({"PATH": str(folder)}),
            EngineError,
            "buildx is missing",
        ),
    ],
)
def test_a_program_that_says_nothing(
    name: str,
    module: object,
    seconds: str,
    ask: Callable[[Path], object],
    failure: type[Exception],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = Silent(tmp_path, name, at_interrupt="")
    monkeypatch.setenv("PATH", program.environment["PATH"])
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(buildx_program, "SYSTEM_FOLDERS", ())
    monkeypatch.setattr(module, seconds, 1.0)
    with pytest.raises(failure, match=sentence):
        ask(tmp_path)
    said = program.says()
    while said.endswith("begun\n"):
        said = program.says()
    assert said == ""
    program.close()
