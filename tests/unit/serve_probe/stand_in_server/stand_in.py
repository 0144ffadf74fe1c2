"""What the stand-ins for servers have in common: how each is broken, its tokens, its HTTP.

STAND_IN in the environment says how. The real servers need a GPU.
"""

from __future__ import annotations

import json
import os
import random
import shlex
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HOW = shlex.split(os.environ.get("STAND_IN", ""))
WORDS = sys.argv
# Of several servers with graphs, the second gives other tokens: each adds a line to a file.
COUNTED = [Path(word.partition("=")[2]) for word in HOW if word.startswith("second-differs=")]
_DIES_ABOVE = 1000


def option(name: str) -> str:
    return WORDS[WORDS.index(name) + 1]


def is_corrupted(eager: bool) -> bool:
    """Whether this one is the second of those that are counted."""
    second = False
    for path in [] if eager else COUNTED:
        with path.open("a+") as file:
            file.write("a server\n")
            file.seek(0)
            second = len(file.readlines()) == 2
    return second


def tokens(
    prompt: list[int], count: int, sampled: bool, eager: bool, corrupted: bool
) -> tuple[list[int], list[float]]:
    """The made-up tokens of one answer, and their log-probabilities."""
    seed = None if sampled else str(prompt)
    if corrupted and not sampled:
        seed = "corrupted" + str(prompt)
    if eager and "eager-differs" in HOW and not sampled:
        seed = "other" + str(prompt)
    source = random.Random(seed)
    made = [source.randrange(1024) for _ in range(count)]
    logprobs = [-source.random() for _ in range(count)]
    if "nan" in HOW:
        logprobs[-1] = float("nan")
    return made, logprobs


def serve(
    port: int, answer: Callable[[dict[str, Any]], Any], count: str, die: Callable[[], None]
) -> None:
    """Answers POST in a thread; `count` is the key of how many tokens are asked for."""

    class Handler(BaseHTTPRequestHandler):
        wbufsize = -1  # head and body in one packet: two would wait for an acknowledgement

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = body.get("sampling_params", body)[count]
            if "dies-while-decoding" in HOW and asked > _DIES_ABOVE:
                die()
            content = json.dumps(answer(body)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
