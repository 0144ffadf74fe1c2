"""Runs a verb in this process as its command is run, and holds it to how it may end."""

from __future__ import annotations

import contextlib
import io
import re
import signal
import sys
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from rocm_images.cli.ending import ended
from rocm_images.cli.main import start
from rocm_images.errors import ExitCode
from rocm_images.start import ENDING
from rocm_images.supervisor import supervisor

ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class Ended(NamedTuple):
    """Standard output and standard error."""

    said: str
    told: str


def ends(*words: str, codes: tuple[int, ...]) -> Ended:
    """Run `build.py WORDS`; what it printed, once its end was found to be a documented one."""
    handlers = {number: signal.getsignal(number) for number in ENDING}
    # Streams with an encoding, in which not every text can be written.
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace")
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.object(sys, "argv", ["build.py", *words]),
        ):
            code = ended(lambda: start)
    finally:
        supervisor.begin()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    said, told = (stream.detach().getvalue().decode() for stream in (out, err))
    if code == ExitCode.DEFECT:
        told += "".join(Path(name).read_text() for name in re.findall(r"/\S+\.txt", told))
    assert code in codes, told
    assert (code == 0) or told.startswith("build.py: "), told
    assert "Traceback" not in told
    assert not ACTS.search(said + told)
    return Ended(said, told)
