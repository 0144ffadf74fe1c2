"""An engine that answers what a test has it answer, on a socket of its own."""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from packaging.version import Version

from rocm_images.engine.connect import Engine
from serving import serving

VERSION = {"Version": "26.1", "ApiVersion": "1.45"}
Answer = Callable[["Request"], "tuple[int, Any] | None"]


class Request(BaseHTTPRequestHandler):
    """One question; an answer that is None was given, or withheld, by whoever was asked."""

    server: _Server
    body: bytes
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        path = re.sub(r"^/v[\d.]+", "", self.path)
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        for pattern, answer in self.server.answers.items():
            if re.match(pattern, f"{self.command} {path}"):
                self.server.asked.append(f"{self.command} {path}")
                given = answer(self)
                break
        else:
            given = (404, {"message": f"nobody said what {self.command} {path} is"})
        if given is None:
            self.close_connection = True
            return
        content = json.dumps(given[1]).encode()
        self.send_response(given[0])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = do_HEAD = _answer

    def address_string(self) -> str:
        return "a socket"

    def log_message(self, *_: object) -> None:
        """It tells nobody."""


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, path: Path) -> None:
        self.answers: dict[str, Answer] = {
            "GET /_ping": lambda _: (200, "OK"),
            "GET /version": lambda _: (200, VERSION),
        }
        self.asked: list[str] = []
        super().__init__(str(path), Request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hung up did so on purpose."""


class MadeUpEngine:
    """What a test knows of it: its address, what it was asked, and how to have it say nothing."""

    def __init__(self, path: Path, server: _Server) -> None:
        self.engine = Engine(f"unix://{path}", Version("26.1"), "1.45", {})
        self.answers = server.answers
        """What it answers, by a regular expression of `METHOD /path`."""
        self.asked = server.asked
        self.end = threading.Event()

    def withhold(self, _: Request) -> None:
        """The answer of an engine that stalled."""
        self.end.wait(60)

    def stream(self, until: threading.Event) -> Answer:
        """An answer that begins, and ends at an event without having said anything."""

        def answer(request: Request) -> None:
            request.send_response(200)
            request.send_header("Transfer-Encoding", "chunked")
            request.end_headers()
            while not until.wait(0.01) and not self.end.is_set():
                pass

        return answer


@contextmanager
def made_up_engine(path: Path) -> Iterator[MadeUpEngine]:
    """An engine of which only its version is known, until a test gives it answers."""
    with serving(_Server(path)) as server:
        found = MadeUpEngine(path, server)
        try:
            yield found
        finally:
            found.end.set()
