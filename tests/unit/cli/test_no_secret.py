"""A password in the environment is in nothing that a verb prints or writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
SECRET = "m4rked-s3cret"
# Nothing answers there, so what is asked fails with the address in its sentence.
PROXY = f"http://someone:{SECRET}@127.0.0.1:9"


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    """A project's matrix, with nothing locked."""
    path = tmp_path / "project" / "matrix.yaml"
    path.parent.mkdir()
    path.write_text((PROJECT / "matrix.yaml").read_text())
    return path


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        (("plan", "-v"), {0}),
        (("plan", "--json"), {0}),
        (("render", "--output", "{out}"), {0}),
        (("lock", "--attempts=1", "--update", "sglang", "--report", "{out}/report.md"), {6}),
        (("build", "-v", "--pip-config", "{out}/pip.conf"), {3}),
        (("explain", "sglang-942-rocm7.2.0"), {0}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_proxys_password_is_in_nothing_that_is_told_or_left(
    matrix: Path, tmp_path: Path, words: tuple[str, ...], codes: set[int]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "pip.conf").write_text(f"[global]\nindex-url = https://u:{SECRET}@pypi.invalid/simple\n")
    environment = {
        **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), PROXY),
        "DOCKER_HOST": f"tcp://someone:{SECRET}@127.0.0.1:9",
        "ROCM_IMAGES_MATRIX": str(matrix),
        "TMPDIR": str(tmp_path),
    }
    arguments = [word.format(out=out) for word in words]
    command = [sys.executable, str(PROJECT / "build.py"), *arguments]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in codes, done.stderr
    assert SECRET not in done.stdout + done.stderr
    left = {path for path in tmp_path.rglob("*") if path.is_file()} - {out / "pip.conf"}
    assert [path for path in left if SECRET in path.read_text()] == []
