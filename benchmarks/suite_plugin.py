"""A plugin of pytest that writes what each test and each fixture spends, and what it waits for:

    python -m pytest -p benchmarks.suite_plugin --account FILE tests/unit

CPU seconds are the test process's, those of its children that ended, and those of the private
engine: of dockerd and containerd with what they run, and of its containers. A machine that others
use changes the seconds of the clock a lot, those of the CPU little.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shlex
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from benchmarks.suite import Spent
from rehearsal.engine import PrivateEngine

_TICKS = os.sysconf("SC_CLK_TCK")
_CONTAINERS = Path("/sys/fs/cgroup/cpuacct/docker")
_WATCH_SECONDS = 0.3
_OUTERMOST = threading.local()


class Account:
    """The plugin: asks the clocks before and after each test and each fixture's setup."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine_pids: list[int] = []
        self._containers: dict[str, float] = {}
        self._waits: dict[str, float] = defaultdict(float)
        self._starts: Counter[str] = Counter()
        self._phases: dict[str, float] = {}
        self._listen()
        threading.Thread(target=self._watch, daemon=True).start()

    def _listen(self) -> None:
        def of_process(process: subprocess.Popen[Any]) -> str:
            return _program(process.args)

        self._count(subprocess.Popen, "wait", of_process)
        self._count(subprocess.Popen, "communicate", of_process)
        self._count(HTTPConnection, "getresponse", lambda it: f"HTTP of {type(it).__module__}")
        self._count(time, "sleep", lambda _: "sleep")
        made = subprocess.Popen.__init__

        def make(process: Any, args: Any, *others: Any, **options: Any) -> None:
            self._starts[_program(args)] += 1
            made(process, args, *others, **options)

        subprocess.Popen.__init__ = make  # type: ignore[method-assign,assignment]

    def _count(self, owner: Any, name: str, called: Callable[[Any], str]) -> None:
        original = getattr(owner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            if getattr(_OUTERMOST, "waits", False):
                return original(*arguments, **options)
            _OUTERMOST.waits, start = True, time.monotonic()
            try:
                return original(*arguments, **options)
            finally:
                _OUTERMOST.waits = False
                self._waits[called(arguments[0])] += time.monotonic() - start

        setattr(owner, name, counted)

    def _now(self) -> tuple[float, float, float, float]:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = children.ru_utime + children.ru_stime
        return time.monotonic(), time.process_time(), used, self._engine()

    def _engine(self) -> float:
        """CPU seconds so far of the private engine, with its containers and build steps.

        dockerd waits for the processes of build steps, but nobody here for those of containers:
        theirs is what their group had when it was last asked.
        """
        found = [_of_process(pid) for pid in self._engine_pids]
        if not found or None in found:
            self._engine_pids = PrivateEngine().pids()
            found = [_of_process(pid) for pid in self._engine_pids]
        self._ask_containers()
        return sum(filter(None, found)) + sum(list(self._containers.values()))

    def _ask_containers(self) -> None:
        for folder in (PrivateEngine().data / "containers").glob("*"):
            with contextlib.suppress(OSError):
                used = int((_CONTAINERS / folder.name / "cpuacct.usage").read_text())
                self._containers[folder.name] = used / 1e9

    def _watch(self) -> None:
        # A container that a test removes is asked before, but for its last moment.
        while not threading.Event().wait(_WATCH_SECONDS):
            self._ask_containers()

    @contextlib.contextmanager
    def _measured(self, name: str) -> Iterator[None]:
        before, waits, starts = self._now(), self._waits.copy(), self._starts.copy()
        try:
            yield
        finally:
            wall, own, children, engine = (
                now - then for now, then in zip(self._now(), before, strict=True)
            )
            took = {k: v - waits.get(k, 0) for k, v in self._waits.items() if v > waits.get(k, 0)}
            began = {k: v - starts[k] for k, v in self._starts.items() if v > starts[k]}
            phases = self._phases.copy()
            spent = Spent(name, wall, own, children, engine, phases, took, began)
            with self._path.open("a") as file:
                file.write(json.dumps(asdict(spent)) + "\n")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """A test, with the fixtures that it is the first to ask for or the last to leave."""
        self._phases.clear()
        with self._measured(item.nodeid):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
        """A fixture that more than one test shares; its time is also that of a test."""
        if fixturedef.scope == "function":
            return (yield)
        name = f"fixture {fixturedef.baseid}::{fixturedef.argname}"
        with self._measured(name):
            return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Setup, call and teardown of the test that runs."""
        self._phases[report.when or ""] = report.duration


def _program(args: Any) -> str:
    if isinstance(args, str):
        args = shlex.split(args)
    words = [str(word) for word in ([args] if isinstance(args, Path) else args)]
    name = Path(words[0]).name
    scripts = [Path(word).name for word in words[1:4] if word.endswith(".py")]
    if name.startswith("python"):
        module = words[words.index("-m") + 1 :][:1] if "-m" in words[:-1] else []
        return " ".join(["python", *(module or scripts)[:1]])
    return name


def _of_process(pid: int) -> float | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return sum(map(int, fields[11:15])) / _TICKS


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--account`, without which the plugin does nothing."""
    parser.addoption("--account", type=Path, help="a file that gets a line for each test")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to account."""
    if path := config.getoption("--account"):
        config.pluginmanager.register(Account(Path(path).resolve()))
