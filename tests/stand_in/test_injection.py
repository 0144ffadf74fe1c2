"""What `graph-probe serve --provoke` injects, on the HIP stand-in: it kills a capture, or does not.

The server is left out: a process with the stand-in loaded, and with modules that look to the
injection like a scheduler's.
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
SOURCE = PROJECT / "rehearsal" / "hip"

SCHEDULER = """
import ctypes, sys, types
hip = ctypes.CDLL(sys.argv[1])
torch = types.ModuleType("torch")
torch.version = types.SimpleNamespace(hip="7.2")
torch.cuda = types.SimpleNamespace(
    is_initialized=lambda: True,
    device_count=lambda: 1,
    memory_stats=lambda device: {"reserved_bytes.all.current": 1},
)
sys.modules["sglang.srt.model_executor.model_runner"] = types.ModuleType("model_runner")
sys.modules["torch"] = torch
GLOBAL = 0
stream, graph = ctypes.c_void_p(), ctypes.c_void_p()
assert hip.hipStreamCreateWithFlags(ctypes.byref(stream), 1) == 0
input()
assert hip.hipStreamBeginCapture(stream, GLOBAL) == 0
print("open", flush=True)
input()
print(hip.hipStreamEndCapture(stream, ctypes.byref(graph)), flush=True)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("hip")
    command = ["make", "-s", "-j2", "-C", str(SOURCE), "all", f"BUILD={build}"]
    subprocess.run(command, check=True)
    return build / "release" / "libamdhip64.so"


def end_of_capture(library: Path, kind: str, sign: str) -> int:
    """The status of EndCapture, of a capture that was open until the injection wrote `sign`."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCHEDULER, str(library)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{PACKAGES / 'serve_probe' / 'injection'}:{PACKAGES}",
            "SERVE_PROBE_PROVOKE": kind,
            "SERVE_PROBE_PERIOD": "0.0001",
            "HIP_STANDIN_ROCM": "7.2.2",
            "HIP_STANDIN_DEVICES": "1",
        },
    )
    # So that a sign which never comes fails the test and does not hold it.
    deadline = threading.Timer(60, process.kill)
    with process:
        try:
            deadline.start()
            _until(process, "statuses [0, 0, 0, 0")
            assert _tell(process) == "open"
            _until(process, sign)
            return int(_tell(process))
        finally:
            deadline.cancel()
            process.kill()


def _until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if text in line:
            return
    raise AssertionError(f"the injection never wrote {text!r}: {''.join(said)}")


def _tell(process: subprocess.Popen[str]) -> str:
    """Let it go on; what it then says."""
    assert process.stdin
    assert process.stdout
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


INVALIDATED = 901


def test_a_query_in_global_mode_kills_the_capture(library: Path) -> None:
    assert end_of_capture(library, "query", "refused 1 of") == INVALIDATED


def test_the_control_that_opted_out_harms_nothing_on_a_safe_runtime(library: Path) -> None:
    sign = "query-relaxed: refused 0 of 10000"
    assert end_of_capture(library, "query-relaxed", sign) == 0
