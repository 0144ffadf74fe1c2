"""What is wrong with a command line is said before a program is missed that it would need."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from rocm_images.cli.main import main
from rocm_images.errors import EngineError, InputError

THERE = "--registry registry.invalid"
WHO = "say whose signatures to trust"
NO_KEY = "--key: cannot read absent.pub (No such file or directory)"
NO_CA = "--ca-bundle: cannot read absent.pem (No such file or directory)"
CHANNEL = "matrix.yaml has no channel 'stabel'"


@pytest.fixture
def nothing_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Neither cosign nor an engine; in the working folder a public key and a private one."""
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ours.pub").write_text("-----BEGIN PUBLIC KEY-----\n")
    (tmp_path / "ours.key").write_text("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (f"publish --from nosuch.tar {THERE} --key ours.pub", "--from: cannot read nosuch.tar (No"),
        (f"publish --from . {THERE} --key ours.pub", "--from: . is no file"),
        (f"publish --from nosuch.tar {THERE} --key absent.pub", NO_KEY),
        (f"publish {THERE} --sign-key ours.key --key absent.pub", NO_KEY),
        (f"publish {THERE} --sign-key ours.key --ca-bundle absent.pem", NO_CA),
        (f"publish {THERE} --sign-key ours.key --channel stabel", CHANNEL),
        (f"publish {THERE} --keyless", WHO),
        (f"push {THERE} --sign-key ours.key --key absent.pub", NO_KEY),
        (f"push {THERE} --keyless --identity [ --issuer i", "is no regular expression"),
        (f"rollback --to x {THERE}", WHO),
        (f"rollback --to x {THERE} --key absent.pub", NO_KEY),
        (f"rollback --to x {THERE} --key ours.pub --channel stabel", CHANNEL),
        (f"rollback --to x {THERE} --key ours.pub --ca-bundle absent.pem", NO_CA),
        (f"prune {THERE}", WHO),
        (f"prune {THERE} --key absent.pub", NO_KEY),
        (f"prune {THERE} --sign-key ours.key --key absent.pub", NO_KEY),
        (f"mirror --to r.invalid {THERE}", WHO),
        (f"mirror --to r.invalid {THERE} --key ours.pub --channel stabel", CHANNEL),
        (f"bundle --output x.tar {THERE} --key absent.pub", NO_KEY),
        (f"bundle --output absent/x.tar {THERE} --key ours.pub", "there is no folder absent"),
        ("pull registry.invalid/x:y --key absent.pub", NO_KEY),
        ("pull registry.invalid/x:y --key ours.pub --ca-bundle absent.pem", NO_CA),
        (f"catalogue {THERE}", WHO),
        (f"sizes {THERE} --key ours.pub --channel stabel", CHANNEL),
        ("ci-matrix --missing-from r.invalid --key ours.pub --channel stabel", CHANNEL),
        (f"plan {THERE} --key absent.pub", NO_KEY),
        (f"build {THERE} --key absent.pub", NO_KEY),
        ("build --cache r.invalid/c --key absent.pub", NO_KEY),
    ],
)
def test_a_typo_is_said_before_a_program_is_missed(
    nothing_is_installed: Path, words: str, said: str
) -> None:
    done = CliRunner().invoke(main, words.split(), standalone_mode=False)
    assert isinstance(done.exception, InputError), repr(done.exception)
    assert said in str(done.exception)


@pytest.mark.parametrize(
    "words",
    [
        f"publish {THERE} --sign-key ours.key --key ours.pub",
        f"prune {THERE} --key ours.pub",
        f"rollback --to x {THERE} --key ours.pub",
        f"bundle --output x.tar {THERE} --key ours.pub",
    ],
)
def test_without_a_typo_the_program_is_missed(nothing_is_installed: Path, words: str) -> None:
    done = CliRunner().invoke(main, words.split(), standalone_mode=False)
    assert isinstance(done.exception, EngineError), repr(done.exception)
    assert "cosign is missing" in str(done.exception)
