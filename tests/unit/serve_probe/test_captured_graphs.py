"""`graph-probe serve --roots`: what is read of a captured graph, and what is made of it."""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import Any

import pytest

from serve_probe.captured_graphs import CapturedGraphs, captured_graphs
from serve_probe.provocation import INJECTION
from serve_probe.server_log import ServerLog

LINE = "[serve-probe pid=7 t=1.234] roots: "


def read(*texts: str) -> CapturedGraphs:
    return captured_graphs(ServerLog("\n".join(f"{LINE}{text}" for text in texts)))


def graph(roots: int, nodes: int) -> str:
    return f"graph with roots {roots} of nodes {nodes}"


def test_graphs_of_all_captures_are_counted_by_their_roots() -> None:
    found = read(graph(1, 40), graph(3, 41), graph(2, 12))
    assert found == CapturedGraphs(3, 2, 3, 41, 0)
    assert found.check.passed
    assert "3 graphs captured, 2 with more than one root (at most 3)" in found.check.found


def test_a_graph_that_could_not_be_read_fails_the_check() -> None:
    found = read(graph(1, 40), "unread, status 1, capture state 0")
    assert (found.captured, found.unread) == (2, 1)
    assert not found.check.passed


def test_no_graph_at_all_fails_the_check() -> None:
    assert not read().check.passed


def test_a_line_beside_a_progress_bar_counts_and_one_of_others_does_not() -> None:
    bar = "\rCapturing batches (bs=8 avail_mem=1 GB):   0%|"
    assert captured_graphs(ServerLog(f"{bar}{LINE}{graph(1, 2)}\n")).captured == 1
    assert captured_graphs(ServerLog(f"roots: {graph(1, 2)}\n")).captured == 0


class Runtime:
    """Calls of a graph runtime that answer with these numbers."""

    def __init__(self, names: dict[str, str], state: int = 1, status: int = 0) -> None:
        self.asked: list[int | None] = []

        def information(stream: Any, *into: Any) -> int:
            self.asked.append(stream.value)
            into[0]._obj.value, into[2]._obj.value = state, 0x77
            return 0

        def count(number: int) -> Any:
            def call(graph: Any, nodes: None, into: Any) -> int:
                assert (graph.value, nodes) == (0x77, None)
                into._obj.value = number
                return status

            return call

        for name, function in zip(names, (information, count(2), count(9)), strict=True):
            setattr(self, names[name], function)


HIP = dict(
    zip(
        "igr",
        ("hipStreamGetCaptureInfo_v2", "hipGraphGetRootNodes", "hipGraphGetNodes"),
        strict=True,
    )
)
CUDA = dict(
    zip("igr", ("cuStreamGetCaptureInfo_v2", "cuGraphGetRootNodes", "cuGraphGetNodes"), strict=True)
)


@pytest.fixture
def injected(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The injected module, with a torch that stands in for the one of a scheduler."""
    spec = importlib.util.spec_from_file_location("graph_roots", INJECTION / "graph_roots.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch = types.SimpleNamespace(
        version=types.SimpleNamespace(hip="7.2"),
        cuda=types.SimpleNamespace(current_stream=lambda: types.SimpleNamespace(cuda_stream=0x55)),
    )
    monkeypatch.setitem(sys.modules, "torch", torch)  # type: ignore[arg-type]
    return module


def ended(injected: Any, monkeypatch: pytest.MonkeyPatch, runtime: Runtime) -> list[str]:
    """What is said when a capture ends, which itself must go on as ever."""
    said: list[str] = []
    loaded: list[str] = []

    class CUDAGraph:
        def capture_end(self, *, pool: int) -> int:
            said.append("ended")
            return pool

    monkeypatch.setattr(injected.ctypes, "CDLL", lambda path: loaded.append(path) or runtime)
    graphs = types.SimpleNamespace(CUDAGraph=CUDAGraph)
    injected.Roots(said.append, lambda backend: f"/lib/{backend}").wrap(graphs)
    assert CUDAGraph().capture_end(pool=4) == 4
    said += loaded
    return said


def test_the_graph_is_read_before_its_capture_ends(
    injected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime(HIP)
    said = ended(injected, monkeypatch, runtime)
    assert said == ["roots: graph with roots 2 of nodes 9", "ended", "/lib/hip"]
    assert runtime.asked == [0x55]


def test_on_cuda_the_driver_is_asked(injected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sys.modules["torch"].version.hip = None
    said = ended(injected, monkeypatch, Runtime(CUDA))
    assert said == ["roots: graph with roots 2 of nodes 9", "ended", "libcuda.so.1"]


@pytest.mark.parametrize(
    ("runtime", "unread"),
    [
        (Runtime(HIP, state=2), "unread, status 0, capture state 2"),
        (Runtime(HIP, status=1), "unread, statuses 1 and 1"),
        (Runtime(CUDA), "unread, AttributeError"),
    ],
)
def test_what_cannot_be_read_is_said_and_the_capture_goes_on(
    injected: Any, monkeypatch: pytest.MonkeyPatch, runtime: Runtime, unread: str
) -> None:
    said = ended(injected, monkeypatch, runtime)
    assert said[0].startswith(f"roots: {unread}")
    assert said[1] == "ended"
    assert read(said[0].removeprefix("roots: ")).unread == 1
