"""What a server answers is tokens, or a request that failed."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from image_servers import SERVERS
from serve_probe.client import Client, RequestFailed


@pytest.fixture
def answers() -> Iterator[tuple[list[bytes], Client]]:
    """A server that answers with what is in the list."""
    said: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said[0])

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield said, Client(server.server_address[1], SERVERS["sglang"].probe.api, "a model")
        server.shutdown()


def test_tokens_and_their_logprobs_are_read(answers: tuple[list[bytes], Client]) -> None:
    said, client = answers
    said.append(b'[{"meta_info": {"output_token_logprobs": [[-0.5, 7], [NaN, 8]]}}]')
    assert client.generate([1], 2).tokens == (7, 8)


@pytest.mark.parametrize(
    "answer",
    [
        b"[" * 100_000,
        b"[1]",
        b'[{"meta_info": {}, "output_ids": [Infinity]}]',
        b'[{"meta_info": {"output_token_logprobs": [[1'
        + b"0" * 400
        + b', 7]]}, "output_ids": []}]',
        b'[{"meta_info": [], "output_ids": []}]',
        b"\xff",
    ],
    ids=range(6),
)
def test_anything_else_is_a_request_that_failed(
    answers: tuple[list[bytes], Client], answer: bytes
) -> None:
    said, client = answers
    said.append(answer)
    with pytest.raises(RequestFailed):
        client.generate([1], 2)
