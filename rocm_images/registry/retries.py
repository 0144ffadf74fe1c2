"""Asks a registry again where that can help, and says in a few words why it did not."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from time import sleep
from typing import TYPE_CHECKING, TypeVar

from rocm_images.telling import quoted
from rocm_images.waiting import Wait

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")
_SHORT = 48
"""Characters of an engine's words for a failure that leave a line room for the rest."""


@dataclass(frozen=True)
class Retries:
    """How often a request that failed for the registry's sake is tried, and how far apart."""

    attempts: int = 6
    first_wait: float = 1.0
    """Seconds; each wait is twice the one before, up to `longest_wait`, with some jitter."""
    longest_wait: float = 30.0
    longest: float = 600.0
    """Seconds after which nothing is tried again, however many attempts are left."""

    def call(
        self, what: Callable[[], T], passing: Callable[[BaseException], bool], asked: Wait
    ) -> T:
        """Call `what` until it succeeds, fails for good, or has failed `attempts` times.

        `passing` says of an exception whether it may pass. The last one is raised as it is.
        `asked` is who is waited for.
        """

        def tell(state: RetryCallState) -> None:
            failure = state.outcome and state.outcome.exception()
            if failure:
                attempt, pause = state.attempt_number + 1, state.upcoming_sleep
                why, short = reason_of(failure), short_reason_of(failure)
                asked.again(attempt, self.attempts, why, pause, short=short)

        from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_after_delay
        from tenacity import wait_exponential_jitter as wait

        retrying = Retrying(
            sleep=sleep,
            stop=stop_after_attempt(self.attempts) | stop_after_delay(self.longest),
            wait=wait(
                multiplier=self.first_wait, max=self.longest_wait, jitter=self.first_wait / 2
            ),
            retry=retry_if_exception(passing),
            before=lambda _: asked.asks(),
            before_sleep=tell,
            reraise=True,
        )
        return retrying(what)


def may_pass(error: BaseException) -> bool:
    """Whether a request may succeed when it is made again: a registry that is busy or restarts."""
    from requests.exceptions import (
        ChunkedEncodingError,
        ConnectionError,
        RequestException,
        SSLError,
        Timeout,
    )

    if isinstance(error, SSLError) or is_no_name(error):
        return False
    if isinstance(error, RequestException) and error.response is not None:
        return error.response.status_code == 429 or error.response.status_code >= 500
    return isinstance(error, (ChunkedEncodingError, ConnectionError, Timeout))


def is_no_name(error: BaseException) -> bool:
    """Whether a name server said that there is no such host, not that it cannot say now."""
    return any(
        isinstance(one, socket.gaierror) and one.errno in (socket.EAI_NONAME, socket.EAI_NODATA)
        for one in _chain_of(error, causes=True)
    )


def reason_of(error: BaseException) -> str:
    """The innermost reason of a failed request, in a few words."""
    from requests.exceptions import HTTPError, ProxyError

    if isinstance(error, HTTPError) and error.response is not None:
        return quoted(f"it answered {error.response.status_code} {error.response.reason}")
    chain = _chain_of(error)
    # urllib3 begins with the connection that it was.
    said = re.sub(r"^(<[^>]*>|\w+\(host=[^)]*\)): ", "", str(chain[-1]))
    if any(isinstance(one, ProxyError) for one in chain):
        said = f"by the proxy of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY: {said}"
    return quoted(said)


def short_reason_of(error: BaseException) -> str:
    """The same in a word or two, for a line that has to leave room."""
    from requests.exceptions import HTTPError, RequestException, Timeout

    if isinstance(error, HTTPError) and error.response is not None:
        return str(error.response.status_code)
    if isinstance(error, Timeout):
        return "no answer in time"
    systems = [
        one for one in _chain_of(error, causes=True) if isinstance(one, OSError) and one.strerror
    ]
    if systems:
        return quoted(systems[-1].strerror)
    if isinstance(error, RequestException):
        return "it broke off"
    text = reason_of(error)
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 3]}..."


def _chain_of(error: BaseException, *, causes: bool = False) -> list[BaseException]:
    """It, what led to it, and so on to the first.

    `causes` goes on where urllib3 has only words of a system's error, and Python the error itself.
    """
    chain = [error]
    while led := _led_to(chain[-1]) or (chain[-1].__cause__ if causes else None):
        chain.append(led)
    return chain


def _led_to(error: BaseException) -> BaseException | None:
    """What led to an error, as requests and urllib3 put one into another, beside words or not."""
    within = (*error.args, getattr(error, "reason", None))
    return next((one for one in within if isinstance(one, BaseException)), None)
