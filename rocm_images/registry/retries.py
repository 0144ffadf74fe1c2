"""Asks a registry again where that can help, and says in a few words why it did not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from time import sleep
from typing import TYPE_CHECKING, Any, TypeVar

from rocm_images.telling import quoted
from rocm_images.waiting import Wait

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")


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
                asked.again(state.attempt_number + 1, self.attempts, reason_of(failure))

        from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_after_delay
        from tenacity import wait_exponential_jitter as wait

        retrying = Retrying(
            sleep=sleep,
            stop=stop_after_attempt(self.attempts) | stop_after_delay(self.longest),
            wait=wait(
                multiplier=self.first_wait, max=self.longest_wait, jitter=self.first_wait / 2
            ),
            retry=retry_if_exception(passing),
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

    if isinstance(error, SSLError):
        return False
    if isinstance(error, RequestException) and error.response is not None:
        return error.response.status_code == 429 or error.response.status_code >= 500
    return isinstance(error, (ChunkedEncodingError, ConnectionError, Timeout))


def reason_of(error: BaseException) -> str:
    """The innermost reason of a failed request, in a few words."""
    from requests.exceptions import HTTPError

    if isinstance(error, HTTPError) and error.response is not None:
        return quoted(f"it answered {error.response.status_code} {error.response.reason}")
    inner: Any = error
    while getattr(inner, "args", None) and isinstance(inner.args[0], BaseException):
        inner = inner.args[0]
    inner = getattr(inner, "reason", inner)
    # urllib3 begins with the connection that it was.
    return quoted(re.sub(r"^(<[^>]*>|\w+\(host=[^)]*\)): ", "", str(inner)))
