"""How far one pull or push of an engine is: layers of how many, bytes, and how fast they go."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping

from rocm_images.tables import bytes_in_words
from rocm_images.telling import counted

_RATE_SECONDS = 10.0
"""The time that the rate is about."""
_ANNOUNCED = ("Pulling fs layer", "Preparing", "Waiting")
_ENDED = ("Pull complete", "Pushed")
_THERE = ("Already exists", "Layer already exists")
_MOVING = ("Downloading", "Pushing")


class Transfer:
    """What the events of a pull or a push say together.

    Args:
        layers: how many there are, where that is known before; else as many as the engine
            announced before the first of them moved. One that comes later is said to be more than
            that by no number at all: a total that moves says nothing.
    """

    def __init__(self, layers: int | None = None) -> None:
        self._layers = layers
        self._known = layers is not None
        self._states: dict[str, str] = {}
        self._moved: dict[str, int] = {}
        self._marks: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def take(self, event: Mapping[str, object]) -> bool:
        """Take one event; returns whether it says anything of how far it is."""
        status, layer = str(event.get("status") or ""), str(event.get("id") or "")
        if not layer or status not in (*_ANNOUNCED, *_ENDED, *_THERE, *_MOVING):
            return False
        if layer not in self._states and not self._known and self._moved:
            self._layers = None
        self._states[layer] = status
        if status in (*_MOVING, *_ENDED):
            if not self._moved and not self._known:
                self._layers = len(self._states)
            self._moved[layer] = max(self._moved.get(layer, 0), _bytes_of(event))
            self._mark()
        return True

    def _mark(self) -> None:
        now = time.monotonic()
        while len(self._marks) > 1 and now - self._marks[1][0] > _RATE_SECONDS:
            self._marks.popleft()
        self._marks.append((now, sum(self._moved.values())))

    @property
    def far(self) -> str:
        """Its layers, bytes and rate, as far as they are known."""
        done = sum(state in (*_ENDED, *_THERE) for state in self._states.values())
        of = self._layers if self._layers is not None and done <= self._layers else None
        layers = counted(done if of is None else of, "layer")
        parts = [layers if of is None else f"{done} of {layers}"]
        (begun, before), (now, whole) = self._marks[0], self._marks[-1]
        if whole:
            parts.append(bytes_in_words(whole))
        if now - begun >= 1 and whole > before:
            parts.append(f"{bytes_in_words(round((whole - before) / (now - begun)))}/s")
        return ", ".join(parts)


def _bytes_of(event: Mapping[str, object]) -> int:
    detail = event.get("progressDetail")
    current = detail.get("current") if isinstance(detail, dict) else None
    # The engine is another program, and so is what it says.
    return current if isinstance(current, int) and 0 <= current < 1 << 50 else 0
