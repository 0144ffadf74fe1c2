"""Reads what a child writes to its two streams, no more of it and no longer than is sensible."""

from __future__ import annotations

import os
import select
import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from rocm_images.masking import LONGEST_LINE, cut_off, masked

if TYPE_CHECKING:
    from subprocess import Popen

COMPLAINT_BYTES = 1024 * 1024
"""Of what a child complains so much is kept, the end."""
GONE_SECONDS = 5.0
"""For what was killed to be gone."""
MOST_BYTES = 64 * 1024 * 1024
"""Of an answer, where whoever asks says nothing else."""
_LOOK_SECONDS = 0.5
_PIECE = 64 * 1024


class GivenUp(Exception):
    """A child was killed with all that it had started. Its words end a sentence: "git gave ..."."""


class TookTooLong(GivenUp):
    """It had not ended in its time."""


class TooMuch(GivenUp):
    """It wrote more than can be an answer."""


def read(
    process: Popen[bytes],
    seconds: float,
    over: Callable[[], bool],
    *,
    given: bytes = b"",
    most: int = MOST_BYTES,
    on_line: Callable[[str], object] | None = None,
) -> tuple[bytes, bytes]:
    """What a child writes to its standard output until its end, and the end of its complaint.

    Args:
        process: its standard input is a pipe where something is `given`.
        seconds: until it has ended and nobody holds its streams.
        over: whether nobody wants to know any more, before that.
        given: what its standard input is.
        most: bytes that its standard output may have.
        on_line: is told of each line of either stream at once, masked and cut at LONGEST_LINE.

    Raises:
        TookTooLong: it had not ended after `seconds`.
        TooMuch: it wrote more than `most`.
    """
    import subprocess

    end = time.monotonic() + seconds
    kept = {pipe: bytearray() for pipe in _outputs(process)}
    lines = {pipe: Lines() for pipe in kept}
    try:
        for pipe, piece in _pieces(process, end, over, given):
            kept[pipe] += piece
            if on_line:
                for line in lines[pipe].ended_by(piece):
                    on_line(line)
                    if time.monotonic() > end:
                        raise TimeoutError
                    if over():
                        break
            if pipe is process.stderr:
                del kept[pipe][:-COMPLAINT_BYTES]
            elif len(kept[pipe]) > most:
                raise TooMuch(f"an answer larger than {most >> 20} MiB")
        process.wait(timeout=max(0.0, end - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        raise TookTooLong(f"no answer within {seconds:g} s") from None
    content, complaint = map(bytes, kept.values())
    return content, complaint


def wait_for_nobody(process: Popen[bytes], over: Callable[[], bool]) -> None:
    """Wait until a child that was killed is gone, and those whom it started itself.

    They hold its streams until then. Whoever was not killed with it is waited for GONE_SECONDS.
    """
    with suppress(TimeoutError):
        for _ in _pieces(process, time.monotonic() + GONE_SECONDS, over):
            pass


def _outputs(process: Popen[bytes]) -> tuple[IO[bytes], ...]:
    return tuple(pipe for pipe in (process.stdout, process.stderr) if pipe)


def _pieces(
    process: Popen[bytes], end: float, over: Callable[[], bool], given: bytes = b""
) -> Iterator[tuple[IO[bytes], bytes]]:
    """What comes out of which pipe, an empty piece at its end, until nobody holds any.

    Raises:
        TimeoutError: somebody still does at the `end`.
    """
    with selectors.DefaultSelector() as waiting:
        for pipe in _outputs(process):
            waiting.register(pipe, selectors.EVENT_READ, pipe)
        stdin, left_to_give = process.stdin, memoryview(given)
        if stdin and not stdin.closed:
            waiting.register(stdin, selectors.EVENT_WRITE, stdin)
        while waiting.get_map() and not over():
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            for key, _ in waiting.select(min(left, _LOOK_SECONDS)):
                if key.events == selectors.EVENT_WRITE:
                    left_to_give = _left_of(left_to_give, key.fd)
                    if not left_to_give:
                        waiting.unregister(key.fileobj)
                        key.data.close()
                    continue
                piece = os.read(key.fd, _PIECE)
                if not piece:
                    waiting.unregister(key.fileobj)
                yield key.data, piece


def _left_of(given: memoryview, pipe: int) -> memoryview:
    """What a child has not been given yet, once it has been given some."""
    try:
        # So much a pipe that can be written to takes at once.
        return given[os.write(pipe, given[: select.PIPE_BUF]) :]
    except BrokenPipeError:
        # It wants no more.
        return given[:0]


class Lines:
    """The lines of one stream, as its pieces come. What is longer than LONGEST_LINE is cut there.

    A part of a line that follows the cut is never told: it may go on with a password whose
    beginning, where it would be known as one, came before.
    """

    def __init__(self) -> None:
        self._begun = b""
        self._was_cut = False

    def ended_by(self, piece: bytes) -> Iterator[str]:
        """The lines that a piece ends, an empty one the last."""
        *ended, rest = (self._begun + piece).split(b"\n")
        if not piece:
            ended, rest = [*ended, rest], b""
        # A progress bar's line begins again; an end may be \r\n.
        rest = rest[rest.rstrip(b"\r").rfind(b"\r") + 1 :]
        too_long = len(rest) > LONGEST_LINE
        was_cut, self._was_cut = self._was_cut, too_long or (self._was_cut and not ended)
        self._begun = b"" if self._was_cut else rest
        if was_cut:
            # Up to its end it is the line that was cut.
            ended, too_long = ended[1:], too_long and bool(ended)
        for line in [*ended, rest] if too_long else ended:
            text = _shown(line)
            if text:
                yield text


def _shown(line: bytes) -> str:
    """A line as it is told, "" where it has nothing."""
    # What a terminal shows of a line that begins again.
    line = line.rstrip(b"\r").rpartition(b"\r")[2]
    text = line[:LONGEST_LINE].decode(errors="replace").rstrip()
    return cut_off(text) if len(line) > LONGEST_LINE else masked(text)
