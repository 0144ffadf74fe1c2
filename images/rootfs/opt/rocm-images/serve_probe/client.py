"""Asks a server on loopback for tokens, over its own HTTP interface."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from typing import Any

from image_servers import Api, Generation, Question, Sampling

REQUEST_SECONDS = 300.0
MOST_BYTES = 32 * 1024 * 1024
# A proxy of the environment must not see, nor be asked for, what stays on this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class RequestFailed(Exception):
    """The server gave no usable answer; the sentence says what came instead."""


GREEDY = Sampling()


class Client:
    """A server at a port of 127.0.0.1."""

    def __init__(self, port: int, api: Api, model: str) -> None:
        self._address = f"http://127.0.0.1:{port}{api.path}"
        self._api = api
        self._model = model

    def generate(
        self, prompt: Sequence[int], tokens: int, sampling: Sampling = GREEDY, logprobs: bool = True
    ) -> Generation:
        """Raises RequestFailed."""
        return self.generate_batch([prompt], tokens, sampling, logprobs)[0]

    def generate_batch(
        self,
        prompts: Sequence[Sequence[int]],
        tokens: int,
        sampling: Sampling = GREEDY,
        logprobs: bool = True,
    ) -> tuple[Generation, ...]:
        """One request for several prompts. Raises RequestFailed."""
        question = Question(self._model, prompts, tokens, sampling, logprobs)
        found = generations(self._api, self._ask(self._api.body(question)), logprobs)
        if len(found) != len(prompts):
            raise RequestFailed(f"{len(prompts)} prompts got {len(found)} answers")
        return found

    def _ask(self, body: dict[str, object]) -> Any:
        request = urllib.request.Request(
            self._address, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with _OPENER.open(request, timeout=REQUEST_SECONDS) as answer:
                return json.loads(answer.read(MOST_BYTES))
        except (OSError, ValueError) as error:  # every error of urllib and http is one of these
            raise RequestFailed(f"the request failed: {error!r}"[:300]) from None
        except Exception as error:  # http.client's own, when a server dies while it answers
            raise RequestFailed(f"the answer broke off: {error!r}"[:300]) from None


def generations(api: Api, answer: Any, logprobs: bool) -> tuple[Generation, ...]:
    """What a server's answer says. Raises RequestFailed."""
    try:
        return tuple(api.generations(answer, logprobs))
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError):
        raise RequestFailed(f"an answer cannot be read: {str(answer)[:200]}") from None
