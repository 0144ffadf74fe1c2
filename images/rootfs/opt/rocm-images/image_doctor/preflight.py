"""Asks rocm-preflight, which every container start runs, about the machine: GPUs, access, memory.

The messages have one home that way: the entrypoint and the doctor cannot disagree.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from image_doctor.check import Check, Status, not_run
from image_doctor.image import Image

PROGRAM = Path(__file__).resolve().parents[3] / "usr" / "local" / "bin" / "rocm-preflight"
SEPARATOR = "\t"


def check_machine(image: Image) -> Iterator[Check]:
    """One check for each line `NAME STATUS SENTENCE ADVICE` of `rocm-preflight --report`."""
    command = ["/bin/sh", str(PROGRAM), "--report", "--root", str(image.root)]
    try:
        answer = subprocess.run(
            command,
            env=dict(image.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        yield not_run("machine", f"rocm-preflight gave no answer: {error}.", f"Run {PROGRAM}.")
        return
    lines = [line.split(SEPARATOR, 3) for line in answer.stdout.splitlines()]
    known = {status.value for status in Status}
    if not lines or any(len(line) != 4 or line[1] not in known for line in lines):
        said = answer.stderr.strip() or answer.stdout.strip() or f"exit code {answer.returncode}"
        yield not_run("machine", f"rocm-preflight gave no answer: {said}.", f"Run {PROGRAM}.")
        return
    for name, status, sentence, advice in lines:
        yield Check(name, Status(status), sentence, advice)
