"""Asks a server on loopback for tokens, over its own HTTP interface."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

REQUEST_SECONDS = 300.0
MOST_BYTES = 32 * 1024 * 1024
# A proxy of the environment must not see, nor be asked for, what stays on this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class RequestFailed(Exception):
    """The server gave no usable answer; the sentence says what came instead."""


@dataclass(frozen=True)
class Generation:
    """The tokens of one answer, and the log-probability of each (none where not asked for)."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...] = ()


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen; the default is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = -1


GREEDY = Sampling()


class Client:
    """A server at a port of 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}/generate"

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
        parameters = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "max_new_tokens": tokens,
            "ignore_eos": True,
        }
        body = {
            "input_ids": [list(prompt) for prompt in prompts],
            "sampling_params": parameters,
            "return_logprob": logprobs,
        }
        answers = self._ask(body)
        if not isinstance(answers, list) or len(answers) != len(prompts):
            raise RequestFailed(f"{len(prompts)} prompts were answered by {str(answers)[:200]}")
        return tuple(_generation(answer, logprobs) for answer in answers)

    def _ask(self, body: dict[str, Any]) -> Any:
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


def _generation(answer: Any, logprobs: bool) -> Generation:
    try:
        said = answer["meta_info"].get("output_token_logprobs") or []
        tokens = answer.get("output_ids")
        if tokens is None:
            tokens = [entry[1] for entry in said]
        # NaN arrives as null, or as JSON's own NaN.
        given = [float("nan") if entry[0] is None else float(entry[0]) for entry in said]
        return Generation(tuple(int(t) for t in tokens), tuple(given) if logprobs else ())
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, OverflowError):
        raise RequestFailed(f"an answer cannot be read: {str(answer)[:200]}") from None
