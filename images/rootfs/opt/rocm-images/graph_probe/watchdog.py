"""Other threads that call the runtime while a capture is open: one at a time, on demand.

Racing proves nothing: a free-running poller hits a short capture almost never. Here the capturing
thread hands over, the other thread makes exactly one call, and the capture goes on after it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.runtime import (
    EVENT_DISABLE_TIMING,
    MODE_NAME,
    NOT_READY,
    STREAM_NON_BLOCKING,
    SUCCESS,
    THREAD_LOCAL,
    Runtime,
    error_name,
)

# A call that takes longer than this inside a capture does not come back at all.
HANDSHAKE_SECONDS = 20.0


class OtherThread:
    """An OS thread of its own, whose capture mode is set once: modes belong to OS threads."""

    def __init__(self, runtime: Runtime, device: int, mode: int) -> None:
        self._calls: queue.SimpleQueue[Callable[[], int]] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[int | BaseException] = queue.SimpleQueue()
        self._runtime = runtime
        threading.Thread(target=self._serve, daemon=True).start()
        self.call(lambda: self._set_up(device, mode))

    def call(self, function: Callable[[], int]) -> int:
        """Has `function` run there, waits for it, and returns what it returned.

        Raises what it raised, and ProbeError HUNG_AND_KILLED where it does not come back.
        """
        self.begin(function)
        return self.finish()

    def begin(self, function: Callable[[], int]) -> None:
        """Has `function` run there; `finish` must follow."""
        self._calls.put(function)

    @property
    def returned(self) -> bool:
        """Whether what was begun has come back."""
        return not self._results.empty()

    def finish(self) -> int:
        """As `call`, for what was begun."""
        try:
            result = self._results.get(timeout=HANDSHAKE_SECONDS)
        except queue.Empty:
            raise ProbeError(
                ExitCode.HUNG_AND_KILLED,
                f"A call from another thread did not return within {HANDSHAKE_SECONDS:g} s "
                "while a capture was open.",
            ) from None
        if isinstance(result, BaseException):
            raise result
        return result

    def _set_up(self, device: int, mode: int) -> int:
        self._runtime.check("SetDevice", device)
        self._runtime.set_thread_mode(mode)
        return SUCCESS

    def _serve(self) -> None:
        while True:
            function = self._calls.get()
            try:
                self._results.put(function())
            except BaseException as error:  # handed to the thread that asked
                self._results.put(error)


class Watchdog:
    """Queries events as PyTorch's NCCL watchdog does: in THREAD_LOCAL mode, events from before."""

    def __init__(self, runtime: Runtime, devices: list[int], mode: int = THREAD_LOCAL) -> None:
        self.queries = 0
        self.mode = mode
        self._runtime = runtime
        self._threads = {device: OtherThread(runtime, device, mode) for device in devices}
        self._elsewhere = {device: self._event(device) for device in devices}
        self._before: dict[int, int] = {}
        for device, event in self._elsewhere.items():
            runtime.check("SetDevice", device)
            side = runtime.create("StreamCreateWithFlags", STREAM_NON_BLOCKING)
            runtime.check("EventRecord", event, side)
            runtime.check("StreamSynchronize", side)

    def before_capture(self, device: int, stream: int) -> None:
        """Records, on the stream that captures next, the event that the queries will be about."""
        if device not in self._before:
            self._before[device] = self._event(device)
        self._runtime.check("EventRecord", self._before[device], stream)

    def look(self, device: int) -> str | None:
        """One query of each event. Returns a sentence where the runtime refused one, else None."""
        events = (
            (self._elsewhere[device], "an event of another stream"),
            (self._before[device], "an event recorded on the capture stream before the capture"),
        )
        for event, what in events:
            status = self._threads[device].call(lambda e=event: self._query(e))  # type: ignore[misc]
            if status not in (SUCCESS, NOT_READY):
                mode = MODE_NAME[self.mode]
                return f"the watchdog ({mode}) queried {what} and got {error_name(status)}"
        return None

    def _query(self, event: int) -> int:
        self.queries += 1
        return self._runtime.status("EventQuery", event)

    def _event(self, device: int) -> int:
        self._runtime.check("SetDevice", device)
        return self._runtime.create("EventCreateWithFlags", EVENT_DISABLE_TIMING)
