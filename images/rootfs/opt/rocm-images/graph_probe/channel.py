"""The messages between the supervisor and its children: one JSON object a line.

A pipe of its own carries them, so that whatever a runtime library prints stays out of them.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, NoReturn

from graph_probe.exit_codes import ExitCode, ProbeError

Message = dict[str, Any]


class Channel:
    """The child's end: messages out on a pipe, instructions in on standard input."""

    def __init__(self, descriptor: int) -> None:
        # A compiler that the runtime starts must not keep the pipe open.
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor

    def send(self, kind: str, **content: object) -> None:
        data = json.dumps({"kind": kind, **content}).encode() + b"\n"
        while data:
            data = data[os.write(self._descriptor, data) :]

    def phase(self, text: str) -> None:
        """Says what is being done, for the sentence about a hang or a crash."""
        self.send("phase", text=text)

    def instruction(self) -> Message:
        """The supervisor's next instruction; waits for it."""
        line = sys.stdin.buffer.readline()
        if not line:
            self.leave()
        message: Message = json.loads(line)
        return message

    def fail(self, code: ExitCode, sentence: str) -> NoReturn:
        self.send("error", code=int(code), sentence=sentence)
        self.leave()

    @staticmethod
    def leave() -> NoReturn:
        """Ends without destructors: a broken device must not hang the exit."""
        os._exit(0)


def parse_message(line: bytes) -> Message:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or "kind" not in message:
        raise ProbeError(ExitCode.PROBE_DEFECT, f"A child sent something else: {line[:200]!r}.")
    return message
