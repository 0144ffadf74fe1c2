"""Runs servers: with graphs and eager at each size, provoked, or with captures held open."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from image_servers import Graphs, Server
from serve_probe import provocation
from serve_probe.checks import Run
from serve_probe.client import Client, RequestFailed
from serve_probe.judge import judge_log
from serve_probe.provocation import Provocation
from serve_probe.server import RunningServer, Servers, free_port
from serve_probe.server_log import ServerLog
from serve_probe.traffic import PROMPTS, converse

PACKAGES = Path(__file__).parent.parent
_VISIBLE = {"hip": "HIP_VISIBLE_DEVICES", "cuda": "CUDA_VISIBLE_DEVICES"}
HANG_SECONDS = 20.0
_TOKENS_WHILE_TRIGGERED = 3000
_MORE_THAN_THERE_IS = 2**40


@dataclass(frozen=True)
class Place:
    """Where servers run: which one, the model, the logs, the backend, what else they are given.

    Beside the model lies what they cache. `ready_seconds` is how long a server may take to become
    ready.
    """

    server: Server
    model: Path
    logs: Path
    backend: str
    ready_seconds: float
    extra: tuple[str, ...] = ()
    all_reduce: str | None = None
    """The all-reduce that the environment selects; None where nothing is known of that."""


def run_plain(
    servers: Servers,
    place: Place,
    tensor_parallel: int,
    graph: bool,
    roots: bool = False,
    number: int = 1,
) -> Run:
    """One server as it is, asked everything. Raises Stopped.

    `roots`: its graphs are looked at; `number`: which it is of several alike.
    """
    name = f"tp{tensor_parallel}-{'graph' if graph else 'eager'}"
    name += f"-{number}" if number > 1 else ""
    environment = {provocation.ROOTS: "1"} if roots else {}
    graphs = Graphs.DEFAULT if graph else Graphs.NONE
    return _run(servers, place, name, tensor_parallel, graphs, (), environment)


def run_race(servers: Servers, place: Place, tensor_parallel: int) -> Run:
    """A server whose captures are held open beside NCCL work that is not done. Raises Stopped."""
    environment = {provocation.KIND: "race"}
    name = f"tp{tensor_parallel}-race"
    return _run(servers, place, name, tensor_parallel, Graphs.DECODE, (), environment)


def run_provoked(servers: Servers, place: Place, provoked: Provocation, gpus: Sequence[str]) -> Run:
    """A server that is made to fail, on these GPUs. Raises Stopped."""
    name = f"provoke-{provoked.name}"
    trigger = place.logs / f"{name}.trigger"
    trigger.unlink(missing_ok=True)
    environment = provoked.environment(trigger) | {_VISIBLE[place.backend]: ",".join(gpus)}
    return _run(
        servers,
        place,
        name,
        provoked.tensor_parallel,
        Graphs.DECODE if provoked.decode_only else Graphs.DEFAULT,
        place.server.probe.no_memory(_MORE_THAN_THERE_IS) if provoked.unlimited else (),
        environment,
        provoked,
        trigger,
    )


def visible_gpus(backend: str, count: int, environment: Mapping[str, str]) -> list[str]:
    """The names of the visible GPUs, as the variable of that backend takes them."""
    given = environment.get(_VISIBLE[backend]) or environment.get(_VISIBLE["cuda"])
    named = [name.strip() for name in (given or "").split(",") if name.strip()]
    return named[:count] if len(named) >= count else [str(number) for number in range(count)]


def _run(
    servers: Servers,
    place: Place,
    name: str,
    tensor_parallel: int,
    graphs: Graphs,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    provoked: Provocation | None = None,
    trigger: Path | None = None,
) -> Run:
    port, said = free_port(), place.server.log
    limited = not (provoked and provoked.unlimited)
    command = [
        *(
            sys.executable,
            *place.server.command(str(place.model), tensor_parallel, port, "127.0.0.1"),
        ),
        *place.server.probe.arguments(place.backend, tensor_parallel, graphs, limited),
        *arguments,
        *place.extra,
    ]
    answers, problem, stop = None, "", None
    own = place.server.probe.environment(str(place.model.with_name(f"{name}.cache")))
    told = _environment({**own, provocation.SERVER: place.server.name, **environment})
    with RunningServer(servers, command, told, place.logs / f"{name}.log") as server:
        if provoked and provoked.injected == "hang-in-capture":
            server.wait_for(provocation.HELD, place.ready_seconds)
            ready = server.wait_for(said.ready, HANG_SECONDS)
        else:
            ready = server.wait_for(said.ready, place.ready_seconds)
        ready_seconds = server.seconds if ready else None
        client = Client(port, place.server.probe.api, str(place.model))
        if ready and provoked and provoked.while_decoding and trigger:
            _fail_while_decoding(server, said.decoding, client, trigger)
        elif ready:
            try:
                answers = converse(client)
            except RequestFailed as failed:
                problem = str(failed)
        if server.ending.status is None and not server.ending.overdue:
            stop = server.stop()
        ending = server.ending
        left = server.left() if ending.status is not None else ()
    log = ServerLog(server.text(), said, place.all_reduce)
    return Run(
        graphs is not Graphs.NONE,
        tensor_parallel,
        judge_log(log, ending),
        log,
        answers,
        problem,
        ready_seconds,
        stop,
        log.graceful and ending.status in place.server.probe.clean_statuses,
        left,
    )


def _fail_while_decoding(
    server: RunningServer, decoding: re.Pattern[str], client: Client, trigger: Path
) -> None:
    """Trigger the failure while long answers are being made, and wait for the server's end."""
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():  # one after the other: a fast server says late that it decodes
            try:
                client.generate(PROMPTS[0], _TOKENS_WHILE_TRIGGERED, logprobs=False)
            except RequestFailed:
                return  # as it must: the judge says what became of the server

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    server.wait_for(decoding, HANG_SECONDS)
    trigger.touch()
    server.wait_for_end(HANG_SECONDS * 3)
    over.set()
    asking.join(HANG_SECONDS)


def _environment(added: Mapping[str, str]) -> dict[str, str]:
    """This process's environment for a server: offline, loopback never through a proxy.

    The path of these packages is taken out: nothing of theirs is to be in an unmodified server.
    """
    environment = dict(os.environ)
    paths = environment.pop("PYTHONPATH", "").split(os.pathsep)
    paths = [path for path in paths if path and Path(path) != PACKAGES]
    if provocation.KIND in added or provocation.ROOTS in added:
        paths = [str(provocation.INJECTION), str(PACKAGES), *paths]
    if paths:
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    for name in ("NO_PROXY", "no_proxy"):
        environment[name] = ",".join(filter(None, [environment.get(name), "127.0.0.1,localhost"]))
    environment |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    return {**environment, **added}
