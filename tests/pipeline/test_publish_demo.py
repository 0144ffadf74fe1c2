"""`make publish-demo` ends with a verified pull."""

from __future__ import annotations

import subprocess
import sys

from conftest import PROJECT, Answer


def test_the_demonstration_publishes_verifies_and_pulls(rehearsed: Answer) -> None:
    done = subprocess.run(
        [sys.executable, PROJECT / "rehearsal" / "publish_demo.py"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "verified: signed by the key" in done.stderr
    assert "/sglang-rocm@sha256:" in done.stdout
    assert (PROJECT / "build" / "publish-demo" / "catalogue.html").is_file()
