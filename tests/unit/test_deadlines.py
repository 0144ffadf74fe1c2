"""Whatever is asked and says nothing, or has no end of words, is given up with a sentence, and
nothing of it is left."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from made_up_programs import COSIGN_VERSION, Silent
from rehearsal import debian_packages, wheelhouse
from rocm_images import streams, waited
from rocm_images.ci import at_commit
from rocm_images.engine import buildx_program, logins, machine
from rocm_images.errors import EngineError, InputError, NoImageFits, RegistryError
from rocm_images.lock import upstream
from rocm_images.registry import cosign, cosign_version
from rocm_images.registry.address import RegistryAddress
from rocm_images.sbom import syft

MIB = 1 << 20


def verify(_: Path) -> None:
    registry = RegistryAddress.parse("registry.example.org/team")
    cosign.Cosign(registry, os.environ).verify("an-image", cosign.Trust("cosign.pub"))


def log_in(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"credsStore": "silent"}))
    logins.credentials_of("registry.example.org")


@pytest.fixture(autouse=True)
def nothing_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No registry's login of its user, no buildx that its system has."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(buildx_program, "SYSTEM_FOLDERS", ())


def has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever names no bound, or one of its own, has a small one."""
    read = streams.read

    def bounded(*given: Any, **more: Any) -> tuple[bytes, bytes]:
        return read(*given, **{**more, "most": MIB})

    monkeypatch.setattr(streams, "read", bounded)


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
    monkeypatch.setattr(module, seconds, 1.0)
    with pytest.raises(failure, match=sentence):
        ask(tmp_path)
    said = program.says()
    while said.endswith("begun\n"):
        said = program.says()
    assert said == ""
    program.close()


FLOOD = "an answer larger than 1 MiB"


@pytest.mark.parametrize(
    ("name", "ask", "failure", "sentence"),
    [
        ("cosign", verify, RegistryError, f"cosign verify gave {FLOOD}: see who adds attestations"),
        (
            "cosign",
            lambda folder: cosign_version.cosign_program(os.environ),
            EngineError,
            f"cosign version gave {FLOOD}: put cosign",
        ),
        (
            "docker-credential-silent",
            log_in,
            RegistryError,
            f"credsStore names docker-credential-silent, which gave {FLOOD}, so that no .*: mend",
        ),
        (
            "git",
            lambda folder: at_commit.build_ids_at("HEAD", folder / "matrix.yaml", ()),
            InputError,
            f"git rev-parse gave {FLOOD}: what is not needed",
        ),
        (
            "git",
            lambda _: upstream.commit_of("https://git.example.org/a.git", "v1"),
            upstream.Unresolved,
            FLOOD,
        ),
        (
            "sh",
            lambda folder: machine.devices(folder),
            NoImageFits,
            f"gives rocm-preflight {FLOOD}, so it is no kernel's",
        ),
        (
            "docker-buildx",
            lambda folder: buildx_program.buildx_command({"PATH": str(folder)}),
            EngineError,
            "buildx is missing",
        ),
        (
            "syft",
            lambda _: syft.converted({}, "spdx-json"),
            EngineError,
            f"syft gave {FLOOD}, asked for spdx-json",
        ),
        (
            "apt-get",
            lambda folder: debian_packages._apt(["update"], dict(os.environ), folder),
            EngineError,
            rf"apt-get update failed \({FLOOD}\): check that",
        ),
        (
            "pip",
            lambda folder: wheelhouse.fetch(folder, "a==1"),
            EngineError,
            f"reaches its package index:\nit gave {FLOOD}",
        ),
    ],
)
def test_a_program_that_has_no_end_of_words(
    name: str,
    ask: Callable[[Path], object],
    failure: type[Exception],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = tmp_path / name
    # Of its version it says no more than that, where another verb is asked.
    known = COSIGN_VERSION if ask is verify else ""
    program.write_text(f"#!/bin/bash\n{known}\nexec yes\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(syft, "syft_program", lambda: program)
    monkeypatch.setattr(sys, "executable", str(program))
    has_bounds(monkeypatch)
    with pytest.raises(failure, match=sentence):
        ask(tmp_path)


def test_a_command_of_make_environment_that_has_no_end_of_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    has_bounds(monkeypatch)
    assert waited.run("pip", ["yes"]) == 124
    assert f"pip gave {FLOOD}" in capsys.readouterr().err
