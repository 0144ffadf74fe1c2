"""What `graph-probe serve --provoke` injects, on the HIP stand-in: it kills a capture, or does not.

The server is left out: a process with the stand-in loaded, and with a torch that stands in for the
one of a scheduler.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = PROJECT / "images" / "rootfs" / "opt" / "rocm-images"

TORCH = {
    "__init__.py": """
import ctypes, sys, types
hip = ctypes.CDLL(sys.argv[1])
version = types.SimpleNamespace(hip="7.2")
import torch.cuda
sys.modules["sglang.srt.model_executor.model_runner"] = types.ModuleType("model_runner")
""",
    "cuda/__init__.py": """
is_initialized = lambda: True
device_count = lambda: 1
memory_stats = lambda device: {"reserved_bytes.all.current": 1}
""",
    "cuda/graphs.py": """
import ctypes
from torch import hip
GLOBAL, NON_BLOCKING = 0, 1
class CUDAGraph:
    def capture_begin(self):
        self.stream, self.graph = ctypes.c_void_p(), ctypes.c_void_p()
        assert hip.hipStreamCreateWithFlags(ctypes.byref(self.stream), NON_BLOCKING) == 0
        assert hip.hipStreamBeginCapture(self.stream, GLOBAL) == 0
    def capture_end(self):
        return hip.hipStreamEndCapture(self.stream, ctypes.byref(self.graph))
""",
}
"""Stands in for torch, as far as the injection looks at it."""

ONE_CAPTURE = """
from torch.cuda.graphs import CUDAGraph
input()
graph = CUDAGraph()
graph.capture_begin()
print("open", flush=True)
input()
print(graph.capture_end(), flush=True)
"""

SHORT_CAPTURES = """
from torch.cuda.graphs import CUDAGraph
input()
for _ in range(3):
    graph = CUDAGraph()
    graph.capture_begin()
    print(graph.capture_end(), flush=True)
"""


@pytest.fixture
def library(libraries: Path) -> Path:
    return libraries / "libamdhip64.so"


@pytest.fixture(scope="module")
def torch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH that holds the stand-in for torch."""
    folder = tmp_path_factory.mktemp("torch")
    (folder / "torch" / "cuda").mkdir(parents=True)
    for name, text in TORCH.items():
        (folder / "torch" / name).write_text(text)
    return folder


class Scheduler:
    """A process that captures when told, with `kind` injected into it."""

    def __init__(self, script: str, library: Path, torch: Path, kind: str, period: str) -> None:
        paths = [PACKAGES / "serve_probe" / "injection", PACKAGES, torch]
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(library)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(map(str, paths)),
                "SERVE_PROBE_PROVOKE": kind,
                "SERVE_PROBE_PERIOD": period,
                "HIP_STANDIN_ROCM": "7.2.2",
                "HIP_STANDIN_DEVICES": "1",
            },
        )
        # So that a sign which never comes fails the test and does not hold it.
        self._deadline = threading.Timer(60, self.process.kill)

    def __enter__(self) -> Scheduler:
        self._deadline.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._deadline.cancel()
        self.process.kill()
        self.process.communicate()

    def until(self, text: str) -> None:
        """Returns as soon as the injection has written `text`."""
        assert self.process.stderr
        said = []
        for line in self.process.stderr:
            said.append(line)
            if text in line:
                return
        raise AssertionError(f"the injection never wrote {text!r}: {''.join(said)}")

    def tell(self) -> str:
        """Lets it go on; what it then says."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.line()

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()


STARTED = "statuses [0, 0, 0, 0"
INVALIDATED = 901


def end_of_capture(library: Path, torch: Path, kind: str, sign: str) -> int:
    """The status of EndCapture, of a capture that was open until the injection wrote `sign`."""
    with Scheduler(ONE_CAPTURE, library, torch, kind, "0.0001") as scheduler:
        scheduler.until(STARTED)
        assert scheduler.tell() == "open"
        scheduler.until(sign)
        return int(scheduler.tell())


def test_a_query_in_global_mode_kills_the_capture(library: Path, torch: Path) -> None:
    assert end_of_capture(library, torch, "query", "refused 1 of") == INVALIDATED


def test_the_control_that_opted_out_harms_nothing_on_a_safe_runtime(
    library: Path, torch: Path
) -> None:
    sign = "query-relaxed: refused 0 of 10000"
    assert end_of_capture(library, torch, "query-relaxed", sign) == 0


@pytest.mark.parametrize(
    ("kind", "third"), [("query", INVALIDATED), ("synchronize", INVALIDATED), ("query-relaxed", 0)]
)
def test_one_capture_is_open_for_longer_than_the_period(
    library: Path, torch: Path, kind: str, third: int
) -> None:
    """Otherwise a query every 100 ms meets a capture of a few milliseconds only by chance."""
    with Scheduler(SHORT_CAPTURES, library, torch, kind, "0.1") as scheduler:
        scheduler.until(STARTED)
        statuses = [scheduler.tell(), *(scheduler.line() for _ in range(2))]
    assert statuses[2] == str(third)
