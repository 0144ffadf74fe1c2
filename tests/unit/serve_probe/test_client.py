"""What a server answers is tokens, or a request that failed."""

from __future__ import annotations

import http.server
from collections.abc import Iterator
from dataclasses import replace

import pytest

from image_servers import SERVERS, Question, Sampling
from serve_probe.client import Client, RequestFailed
from serving import serving


@pytest.fixture(params=["sglang"])
def answers(request: pytest.FixtureRequest) -> Iterator[tuple[list[bytes], Client]]:
    """A server that answers with what is in the list."""
    said: list[bytes] = []
    api = SERVERS[request.param].probe.api

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said[0])

        def log_message(self, *_: object) -> None:
            pass

    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield said, Client(server.server_address[1], api, "a model")


def test_tokens_and_their_logprobs_are_read(answers: tuple[list[bytes], Client]) -> None:
    said, client = answers
    said.append(b'[{"meta_info": {"output_token_logprobs": [[-0.5, 7], [NaN, 8]]}}]')
    assert client.generate([1], 2).tokens == (7, 8)


NOT_OF = {
    "sglang": (
        b"[" * 100_000,
        b"[1]",
        b'[{"meta_info": {}, "output_ids": [Infinity]}]',
        b'[{"meta_info": {"output_token_logprobs": [[1'
        + b"0" * 400
        + b', 7]]}, "output_ids": []}]',
        b'[{"meta_info": [], "output_ids": []}]',
        b"\xff",
    ),
    "vllm": (
        b"[]",
        b'{"choices": [{"index": 0}]}',
        b'{"choices": [{"index": 0, "token_ids": [7], "logprobs": null}]}',
        b'{"choices": {"index": 0}}',
        b'{"error": {"message": "Out of range float values are not JSON compliant"}}',
    ),
}


@pytest.mark.parametrize(
    ("answers", "answer"),
    [
        pytest.param(server, answer, id=f"{server}-{number}")
        for server, several in NOT_OF.items()
        for number, answer in enumerate(several)
    ],
    indirect=["answers"],
)
def test_anything_else_is_a_request_that_failed(
    answers: tuple[list[bytes], Client], answer: bytes
) -> None:
    said, client = answers
    said.append(answer)
    with pytest.raises(RequestFailed):
        client.generate([1], 2)


@pytest.mark.parametrize("answers", ["vllm"], indirect=True)
def test_several_answers_come_in_the_order_of_their_prompts(
    answers: tuple[list[bytes], Client],
) -> None:
    said, client = answers
    one = '{"index": %d, "token_ids": [%d], "logprobs": {"token_logprobs": [-0.5]}}'
    said.append(f'{{"choices": [{one % (1, 8)}, {one % (0, 7)}]}}'.encode())
    found = client.generate_batch([[1], [2]], 1)
    assert [(made.tokens, made.logprobs) for made in found] == [((7,), (-0.5,)), ((8,), (-0.5,))]


def test_what_is_asked_is_the_same_of_each_server() -> None:
    question = Question("m", [[1, 2], [3]], 9, Sampling(0.5, 0.9, 50), logprobs=True)
    bodies = {name: server.probe.api.body(question) for name, server in SERVERS.items()}
    vllm, sglang = bodies["vllm"], bodies["sglang"]
    assert vllm["prompt"] == sglang["input_ids"] == [[1, 2], [3]]
    sampling = sglang["sampling_params"]
    for name in ("temperature", "top_p", "top_k", "ignore_eos"):
        assert vllm[name] == sampling[name]
    assert vllm["max_tokens"] == sampling["max_new_tokens"] == 9
    assert (vllm["model"], vllm["return_token_ids"], vllm["logprobs"]) == ("m", True, 1)
    silent = SERVERS["vllm"].probe.api.body(replace(question, logprobs=False))
    assert "logprobs" not in silent
