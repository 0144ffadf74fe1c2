"""Whatever a registry does, each verb that reads it ends in a sentence and writes nothing."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hostile_registry import ANSWERS, IMAGES, HostileRegistry, Image, digest
from rocm_images.build.site import RealSite
from rocm_images.ci import verbs as ci_verbs
from rocm_images.cli.main import main
from rocm_images.cli.main import run as run_command
from rocm_images.engine import connect
from rocm_images.engine.connect import Engine, Version
from rocm_images.errors import ExitCode
from rocm_images.registry import client, transport

TAG = "v0.5.21-rocm722-mi30x"
IMMUTABLE = f"{TAG}-{'0' * 12}"
DIGEST = digest(json.dumps(Image().document).encode())
CELL = ("--arch", "942", "--base", "7.2.2")
QUICK = transport.Deadlines(connect=5, between=0.25, whole=0.5)
# Says yes to everything: what a registry says is refused without its help.
STAND_IN_COSIGN = """\
#!/bin/sh
# A stand-in for cosign.
echo "$1" >> "${0%/*}/cosign-was-asked"
"""
ENDS = (
    ExitCode.REGISTRY_FAILED,
    ExitCode.VERIFICATION_FAILED,
    # Publishing names each cell that may not be published.
    ExitCode.PUBLISH_REFUSED,
)

# R is the registry's address, and O a folder.
IMAGE_VERBS = {
    "publish": ("publish", *CELL, "--registry", "R", "--output", "O"),
    "publish, to look": ("publish", *CELL, "--registry", "R", "--dry-run"),
    "publish a bundle": ("publish", "--registry", "R", "--output", "O", "--from", "O/b.tar"),
    "push": ("push", *CELL, "--registry", "R"),
    "pull a tag": ("pull", f"R/sglang-rocm:{TAG}"),
    "pull an immutable tag": ("pull", f"R/sglang-rocm:{IMMUTABLE}"),
    "rollback": ("rollback", "--registry", "R", "--to", IMMUTABLE, "--output", "O"),
    "mirror": ("mirror", *CELL, "--registry", "R", "--to", "127.0.0.1:1"),
    "bundle": ("bundle", *CELL, "--registry", "R", "--output", "O/site.tar"),
}
OTHER_VERBS = {
    "ci-matrix": ("ci-matrix", *CELL, "--missing-from", "R"),
    "plan": ("plan", *CELL, "--registry", "R"),
    "catalogue": ("catalogue", "--registry", "R", "--output", "O"),
    "pull a digest": ("pull", f"R/sglang-rocm@{DIGEST}"),
}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def registry() -> Iterator[HostileRegistry]:
    with HostileRegistry() as found:
        yield found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadlines of a test, and no wait between attempts."""
    monkeypatch.setattr(transport, "DEADLINES", QUICK)
    monkeypatch.setattr(client, "sleep", lambda seconds: None)


@pytest.fixture(scope="module")
def public_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "cosign.pub"
    path.write_bytes(
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder that a verb may write to: it has a bundle in it. No engine answers."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "cosign").write_text(STAND_IN_COSIGN)
    (programs / "cosign").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in ("GITHUB_OUTPUT", "ROCM_IMAGES_REGISTRY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(RealSite, "found_engine", lambda site: None)
    nobody = Engine("unix:///nobody", Version("28"), "1.48", {"PATH": os.environ["PATH"]})
    monkeypatch.setattr(connect, "connect", lambda: nobody)
    found = tmp_path / "written"
    found.mkdir()
    monkeypatch.setattr(ci_verbs, "STATE", found)
    _write_bundle(found / "b.tar")
    return found


def _write_bundle(path: Path) -> None:
    image = Image({"rocm-serving-images.build-id": "0" * 64})
    entry = {"cell": "c", "immutable": IMMUTABLE, "rolling": [TAG], "digest": digest(image.top)}
    document = {"schema": 1, "channel": "stable", "images": [{**entry, "entries": [image.entry()]}]}
    files = {"bundle.json": json.dumps(document).encode()}
    for content in (*image.blobs.values(), *image.manifests.values()):
        files[f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"] = content
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def run(
    registry: HostileRegistry,
    quick: None,
    folder: Path,
    public_key: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """A verb as a user types it; gives its exit code, standard output and standard error."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def given(*words: str) -> tuple[int, str, str]:
        command = main.commands[words[0]]
        assert isinstance(command, click.Command)
        takes = {parameter.name for parameter in command.params}
        more = [f"--key={public_key}"] if "key" in takes else []
        more += ["--attempts=2"] if "attempts" in takes else []
        text = [
            word.replace("R", registry.address) if word.startswith("R") else word for word in words
        ]
        text = [
            word.replace("O", str(folder), 1) if word.startswith("O") else word for word in text
        ]
        monkeypatch.setattr(sys, "argv", ["build.py", *text, *more])
        with pytest.raises(SystemExit) as ended:
            run_command()
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capfd.readouterr()

    yield given
    for number, handler in handlers.items():
        signal.signal(number, handler)


CASES = [
    *((verb, name) for verb in {**IMAGE_VERBS, **OTHER_VERBS} for name in ANSWERS),
    *((verb, name) for verb in IMAGE_VERBS for name in IMAGES if verb != "publish a bundle"),
]


@pytest.mark.parametrize(("verb", "misbehaviour"), CASES)
def test_a_verb_meets_a_hostile_registry(
    registry: HostileRegistry, run: Run, folder: Path, verb: str, misbehaviour: str
) -> None:
    registry.misbehave(misbehaviour)
    code, output, errors = run(*{**IMAGE_VERBS, **OTHER_VERBS}[verb])
    assert code in ENDS, errors
    assert errors.startswith("build.py: ") or "\nbuild.py: " in errors
    assert "Traceback" not in errors
    assert len(errors) < 2000
    assert not (set(output + errors) & set("\x1b\x07\x9b"))
    assert registry.asked
    assert registry.writes == []
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["b.tar"]
    asked = folder.parent / "programs" / "cosign-was-asked"
    told = set(asked.read_text().split()) if asked.exists() else set()
    assert told <= {"public-key", "verify"}


def test_a_catalogue_that_is_an_index_is_none(registry: HostileRegistry, run: Run) -> None:
    registry.misbehave("the image and a foreign one")
    code, _, errors = run(*OTHER_VERBS["catalogue"])
    assert code == ExitCode.REGISTRY_FAILED
    assert "is no catalogue: it is an index" in errors
