"""Runs a program that asks a server, and reads no more of it and no longer than is sensible."""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

from rocm_images.supervisor import Answer, Stopped, TookTooLong, give_no_grace, supervisor

MOST_BYTES = 16 * 1024 * 1024
"""Of its output and of what it complains: a server has no more to say."""
_LOOK_SECONDS = 0.5
_GONE_SECONDS = 5.0
"""For what was killed to be gone."""
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
        pipes = [pipe for pipe in (process.stdout, process.stderr) if pipe]
        try:
            content, complaint = _read(pipes, end, seconds, MOST_BYTES)
            process.wait(timeout=max(0.0, end - time.monotonic()))
        except (TookTooLong, TooMuch, subprocess.TimeoutExpired) as error:
            give_no_grace(process)
            # Once nobody holds the pipes, those are gone, too, whom it started itself.
            with suppress(TookTooLong):
                _read(pipes, time.monotonic() + _GONE_SECONDS, _GONE_SECONDS)
            if isinstance(error, subprocess.TimeoutExpired):
                raise TookTooLong(f"no answer within {seconds:g} s") from None
            raise
    if supervisor.stopping:
        # It was stopped, so that what it said is no answer.
        raise Stopped
    return Answer(process.returncode, content, complaint)


def _read(
    pipes: Sequence[IO[bytes]], end: float, seconds: float, most: int | None = None
) -> tuple[bytes, ...]:
    """What comes out of each pipe until all are closed; nothing is kept where `most` is None."""
    read = {pipe: bytearray() for pipe in pipes}
    with selectors.DefaultSelector() as waiting:
        for pipe in pipes:
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
                elif most is not None:
                    read[key.fileobj] += piece  # type: ignore[index]
            if most is not None and sum(map(len, read.values())) > most:
                raise TooMuch(f"its answer is larger than {most >> 20} MiB")
    return tuple(map(bytes, read.values()))
