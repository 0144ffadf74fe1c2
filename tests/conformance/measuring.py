"""Measures rows in processes of their own, so that no call sees what another call left behind."""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Callable, Iterable

import capture_calls
import more_calls
from capture_cases import Bench, Hip, MissingCall
from capture_tables import Observed, Row, Unusable
from one_capture import measure

CALLS = {**capture_calls.CALLS, **more_calls.CALLS}
READY = {**capture_calls.READY, **more_calls.READY}
SILENCE_LIMIT_S = 60.0


class Absent(str):
    """Why a row was not measured: the library lacks a call. Any other failure is a plain str."""


def in_fresh_process(job: Callable[[], object]) -> object:
    """The JSON value that `job` returns in a forked process, so that no state is left here.

    Raises MissingCall where the library lacks a call, Unusable where anything else went wrong.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            answer = {"value": job()}
        except MissingCall as missing:
            answer = {"missing": str(missing)}
        except Exception as failure:
            answer = {"failure": f"{type(failure).__name__}: {failure}"}
        with os.fdopen(writer, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(writer)
    text = b""
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], SILENCE_LIMIT_S)[0]:
            chunk = pipe.read(1 << 16)
            if not chunk:
                break
            text += chunk
        else:
            os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise Unusable(
            f"A measuring process was ended by signal {os.WTERMSIG(status)}"
            f" (it is killed after {SILENCE_LIMIT_S:g} s of silence)."
        )
    if not text:
        raise Unusable(f"A measuring process ended with {os.WEXITSTATUS(status)} and no answer.")
    answer = json.loads(text)
    if "missing" in answer:
        raise MissingCall(answer["missing"])
    if "failure" in answer:
        raise Unusable(f"The runtime cannot be measured: {answer['failure']}.")
    return answer["value"]


def measure_all(
    runtime: Callable[[], Hip], compiler: Callable[[], bytes], rows: Iterable[Row]
) -> dict[Row, Observed | str]:
    """Measures the rows, each call in a process of its own, there in the order they are given.

    The order counts for one call: peer access was enabled by the first one that was let through.
    Where such a process dies or hangs, each of its rows gets one; a row whose own process fails,
    or whose call the library lacks (Absent), has a sentence for an answer. Raises Unusable where
    nothing can be measured at all.
    """
    code = str(in_fresh_process(lambda: compiler().hex()))
    # What no row can do without fails here, once, and not in each row.
    in_fresh_process(lambda: Bench(runtime(), bytes.fromhex(code)).image.raw.hex())

    def batch(members: list[Row]) -> list[Observed | str]:
        def job() -> object:
            bench = Bench(runtime(), bytes.fromhex(code))
            return [measure(bench, row, CALLS[row.call], READY.get(row.call)) for row in members]

        try:
            answers = in_fresh_process(job)
        except MissingCall as missing:
            return [Absent(missing)] * len(members)
        except Unusable as failure:
            if len(members) == 1:
                return [str(failure)]
            return [answer for row in members for answer in batch([row])]
        assert isinstance(answers, list)
        return [Observed(*answer) for answer in answers]

    by_call: dict[str, list[Row]] = {}
    for row in rows:
        by_call.setdefault(row.call, []).append(row)
    found: dict[Row, Observed | str] = {}
    for members in by_call.values():
        found.update(zip(members, batch(members), strict=True))
    return found
