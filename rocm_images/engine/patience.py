"""Waits for what an engine does as long as the engine lives, however long that is silent.

A pull may unpack for minutes and a step compile for hours without a word; so silence says nothing,
and the engine is asked beside it whether it still answers. docs/ending.md has the limits.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from rocm_images import telling
from rocm_images.engine.endpoint import Tls
from rocm_images.errors import EngineError
from rocm_images.streams import TookTooLong
from rocm_images.waiting import waiting_for

if TYPE_CHECKING:
    import docker

ASK_SECONDS = 5
"""The silence after which the engine is asked, and how long it is given to answer."""
GIVE_UP_SECONDS = 60.0
_NEWS_SECONDS = 0.5
_AHEAD = 1000
T = TypeVar("T")
_END = object()
_GIVEN_UP: set[str] = set()
"""Engines that did not answer for a minute: whoever asks them next waits no other minute."""


class Patience:
    """Of everything that waits for one engine."""

    def __init__(self, address: str, tls: Tls | None = None) -> None:
        self._address = address
        self._tls = tls

    def call(self, function: Callable[[], T]) -> T:
        """What `function` gives.

        Raises:
            EngineError: the engine has not answered for a minute, and `function` is given up.
        """
        with waiting_for(f"the Docker Engine at {self._address}", otherwise=True):
            (result,) = self.each(function() for _ in (1,))
        return result

    def each(
        self, items: Iterable[T], seconds: float | None = None, *, silence: float | None = None
    ) -> Iterator[T]:
        """The items, as they arrive.

        Args:
            items: read in a thread of its own, which is left alone when they are given up.
            seconds: the most that they may take together.
            silence: the most that one may take after another.

        Raises:
            EngineError: the engine has not answered for a minute.
            TookTooLong: there were more to come after `seconds`, or `silence`.
        """
        # Bounded: whoever reads faster than others write would fill the memory.
        arrived: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(_AHEAD)

        def read() -> None:
            try:
                for item in items:
                    arrived.put((item, None))
                arrived.put((_END, None))
            except BaseException as error:
                arrived.put((_END, error))

        begun = heard = answered = time.monotonic()
        told = False
        threading.Thread(target=read, daemon=True).start()
        while True:
            left = ASK_SECONDS if seconds is None else begun + seconds - time.monotonic()
            if left <= 0:
                raise TookTooLong(f"it did not end within {seconds:g} s")
            try:
                item, failure = arrived.get(timeout=min(left, ASK_SECONDS))
            except queue.Empty:
                if silence is not None and time.monotonic() - heard >= silence:
                    raise TookTooLong(f"nothing was heard for {silence:g} s") from None
                if answers(self._address, self._tls):
                    answered, told = time.monotonic(), False
                    _GIVEN_UP.discard(self._address)
                    continue
                silent = time.monotonic() - answered
                if silent >= GIVE_UP_SECONDS or self._address in _GIVEN_UP:
                    _GIVEN_UP.add(self._address)
                    raise EngineError(
                        f"the Docker Engine at {self._address} has not answered for "
                        f"{silent:.0f} s: see whether it still runs, and start it again"
                    ) from None
                if not told:
                    telling.step(
                        f"{telling.PROGRAM}: warning: the Docker Engine at {self._address} does "
                        f"not answer; it is given {GIVE_UP_SECONDS:.0f} s"
                    )
                    told = True
                continue
            heard = answered = time.monotonic()
            if failure is not None:
                raise failure
            if item is _END:
                return
            yield item


def answers(address: str, tls: Tls | None = None) -> bool:
    """Whether an engine answers at all, be it with a refusal."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    from rocm_images.engine.client import Asking

    try:
        # A version, as otherwise it would be asked for one; what it answers is all the same.
        client = Asking(address, tls, "1.44", ASK_SECONDS)
        try:
            client.ping()
        finally:
            client.close()
    except APIError:
        return True
    except (DockerException, RequestException):
        return False
    return True


@contextmanager
def watched(client: docker.DockerClient) -> Iterator[Callable[[], bool]]:
    """Gives the question whether the engine went away since the block began, if but for a moment.

    An engine that is started again answers as if nothing had been, and what ran in it is gone.
    """
    events = client.api.events()
    gone = threading.Event()

    def listen() -> None:
        try:
            for _ in events:
                pass
        except Exception:  # whatever a broken connection looks like
            pass
        gone.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        # What it breaks off is heard of elsewhere first.
        yield lambda: gone.wait(_NEWS_SECONDS)
    finally:
        events.close()
        listener.join(ASK_SECONDS)
