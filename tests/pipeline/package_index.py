"""A package index (PEP 503) with TLS on loopback, vouched for by a private CA alone."""

from __future__ import annotations

import http.server
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import trustme

from serving import serving


class _Index(http.server.SimpleHTTPRequestHandler):
    """/simple/NAME/ lists the wheels of that name; any other path is a file of the folder."""

    def do_GET(self) -> None:
        match = re.fullmatch(r"/simple/([a-z0-9-]+)/", self.path)
        if not match:
            super().do_GET()
            return
        wheels = [
            wheel.name
            for wheel in Path(self.directory).glob("*.whl")
            if wheel.name.split("-")[0].lower().replace("_", "-") == match[1]
        ]
        body = "".join(f'<a href="/{name}">{name}</a>' for name in wheels).encode()
        self.send_response(200 if wheels else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return None


@contextmanager
def package_index(folder: Path, authority: trustme.CA) -> Iterator[str]:
    """Serves the wheels of a folder; yields the index's address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    handler = partial(_Index, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server):
        # By name: with an address pip 25.1's trust store fails, "requires server_hostname".
        yield f"https://localhost:{server.server_port}/simple"
