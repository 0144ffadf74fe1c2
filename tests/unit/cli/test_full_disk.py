"""Where the disk is full a verb says so, with its exit code, and no file is cut."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
# Of the longest file that may be written; pipes have no length.
LIMITED = """
import resource, runpy, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.argv = sys.argv[2:]
sys.path[0] = sys.argv[0].rpartition("/")[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# Nothing answers there.
PROXY = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")


def build_py(limit: int, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), str(PROJECT / "build.py"), *words],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("limit", [10, 16_384])
def test_a_rendered_file_is_whole_or_the_old_one(tmp_path: Path, limit: int) -> None:
    out, words = tmp_path / "out", ("render", "--output", str(tmp_path / "out"))
    assert build_py(10**9, *words).returncode == 0
    whole = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert max(map(len, whole.values())) > 16_384
    for path in whole:
        path.write_text("old\n")
    done = build_py(limit, *words)
    assert done.returncode == 13, done.stderr
    assert "cannot write it (File too large)" in done.stderr
    left = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert left.keys() == whole.keys()
    assert all(content in (whole[path], b"old\n") for path, content in left.items())


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (("init", "{out}/new"), {}),
        (("lock", "--attempts=1", "--update", "sglang", "--report", "{out}/report.md"), PROXY),
        (("ci-matrix",), {"GITHUB_OUTPUT": "{out}/github"}),
        (("summary",), {"GITHUB_STEP_SUMMARY": "{out}/github"}),
        (("catalogue", "--from", "{out}/catalogue.json", "--output", "{out}", "--unverified"), {}),
        (
            ("deploy", "x@sha256:" + "0" * 64, "--as", "compose", "--model", "m")
            + ("--output", "{out}/compose.yaml"),
            {},
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_each_verb_that_writes_says_what_it_could_not_write(
    tmp_path: Path, words: tuple[str, ...], environment: dict[str, str]
) -> None:
    (tmp_path / "catalogue.json").write_text(
        '{"schema": 2, "updated": "2026-01-01T00:00:00+00:00", "images": []}'
    )
    given = {name: value.format(out=tmp_path) for name, value in environment.items()}
    done = build_py(10, *(word.format(out=tmp_path) for word in words), **given)
    assert done.returncode == 13, done.stderr
    assert "cannot write it (File too large)" in done.stderr
    assert "Traceback" not in done.stderr
    # What GitHub reads grows.
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left - {"github"} == {"catalogue.json"}


@pytest.mark.parametrize(
    "words",
    [
        ("lock", "--attempts=1", "--update", "sglang", "--report", "/dev/full"),
        ("deploy", "x@sha256:" + "0" * 64, "--as", "compose", "--model", "m")
        + ("--output", "/dev/full"),
    ],
    ids=lambda value: value[0],
)
def test_a_full_device_is_said_and_not_replaced(words: tuple[str, ...]) -> None:
    done = build_py(10**9, *words, **PROXY)
    assert done.returncode == 13, done.stderr
    assert "/dev/full: cannot write it (No space left on device)" in done.stderr
    assert Path("/dev/full").is_char_device()
