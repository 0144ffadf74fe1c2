"""Runs a program that asks a server, and reads no more of it and no longer than is sensible."""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Mapping, Sequence

from rocm_images.supervisor import Answer, Stopped, TookTooLong, supervisor

MOST_BYTES = 16 * 1024 * 1024
"""Of its output and of what it complains: a server has no more to say."""
_LOOK_SECONDS = 0.5
_PIECE = 64 * 1024


class TooMuch(Exception):
    """A program wrote more than can be an answer, and was killed."""


def ask(words: Sequence[str], environment: Mapping[str, str], seconds: float) -> Answer:
    """All that a program leaves which ends by itself.

    Raises:
        TookTooLong: it had not ended after `seconds`.
        TooMuch: it wrote more than MOST_BYTES.
        Stopped: the run is being stopped.
        OSError: it cannot be started.
    """
    import subprocess

    end = time.monotonic() + seconds
    options = {"stderr": subprocess.PIPE, "text": False, "bufsize": 0}
    with supervisor.child(words, environment, **options) as process:
        read = {pipe: bytearray() for pipe in (process.stdout, process.stderr) if pipe}
        with selectors.DefaultSelector() as waiting:
            for pipe in read:
                waiting.register(pipe, selectors.EVENT_READ)
            while waiting.get_map():
                left = end - time.monotonic()
                if left <= 0:
                    raise TookTooLong(f"no answer within {seconds:g} s")
                if supervisor.stopping:
                    raise Stopped
                for key, _ in waiting.select(min(left, _LOOK_SECONDS)):
                    piece = os.read(key.fd, _PIECE)
                    if not piece:
                        waiting.unregister(key.fileobj)
                    read[key.fileobj] += piece  # type: ignore[index]
                if sum(map(len, read.values())) > MOST_BYTES:
                    raise TooMuch(f"its answer is larger than {MOST_BYTES >> 20} MiB")
        try:
            process.wait(timeout=max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise TookTooLong(f"no answer within {seconds:g} s") from None
    if supervisor.stopping:
        # It was stopped, so that what it said is no answer.
        raise Stopped
    content, complaint = read.values()
    return Answer(process.returncode, bytes(content), bytes(complaint))
