"""Provokes one failure inside the processes of a server, races it, or looks at its graphs.

Python imports this by its name at the start of every process of the server, because
this folder is in its PYTHONPATH; SERVE_PROBE_PROVOKE and SERVE_PROBE_ROOTS say what to do.
Standard library only. Every line that it writes begins with [serve-probe.
"""

from __future__ import annotations

import ctypes
import importlib.abc
import importlib.machinery
import os
import signal
import sys
import threading
import time
from pathlib import Path

from image_servers import server_of

SERVER = server_of(os.environ.get("SERVE_PROBE_SERVER"))
KIND = os.environ.get("SERVE_PROBE_PROVOKE", "")
PERIOD = float(os.environ.get("SERVE_PROBE_PERIOD", "0.001"))
RANK = os.environ.get("SERVE_PROBE_RANK")
TRIGGER = os.environ.get("SERVE_PROBE_TRIGGER", "")
# A capture after the first one, so that its batch size is not the one that is always there.
WHICH = 3
# By chance a query every 100 ms can miss all captures, which take milliseconds: one is held for it.
HELD_PERIODS = 3
DISABLE_TIMING, NON_BLOCKING, RELAXED = 2, 1, 2
NO_SUCH_FAILURE, NOT_READY = 0, 600


def say(text):
    sys.stderr.write(f"[serve-probe pid={os.getpid()} t={time.time():.3f}] {text}\n")
    sys.stderr.flush()


class AfterImport(importlib.abc.MetaPathFinder):
    """Calls a function with a module as soon as that module has been executed."""

    def __init__(self, name, then):
        self.name, self.then, self.busy = name, then, False

    def find_spec(self, name, path=None, target=None):
        if name != self.name or self.busy:
            return None
        self.busy = True
        try:
            spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        finally:
            self.busy = False
        if spec is None or spec.loader is None:
            return None
        execute, then = spec.loader.exec_module, self.then

        def executed(module):
            execute(module)
            then(module)

        spec.loader.exec_module = executed
        return spec


def after_import(name, then):
    sys.meta_path.insert(0, AfterImport(name, then))


class Capture:
    """What torch captures now: wrapped around every capture that torch begins and ends."""

    open = False
    begun = 0

    @classmethod
    def wrap(cls, graphs, before, inside, after):
        begin, end = graphs.CUDAGraph.capture_begin, graphs.CUDAGraph.capture_end

        def capture_begin(graph, *arguments, **options):
            cls.begun += 1
            before(cls.begun)
            begin(graph, *arguments, **options)
            cls.open = True
            inside(cls.begun)

        def capture_end(graph, *arguments, **options):
            cls.open = False
            try:
                return end(graph, *arguments, **options)
            finally:
                after(cls.begun)

        graphs.CUDAGraph.capture_begin = capture_begin
        graphs.CUDAGraph.capture_end = capture_end


def nothing(_):
    pass


def in_capture(what):
    """Does something inside one capture, on the thread that captures."""
    return lambda graphs: Capture.wrap(
        graphs, nothing, lambda number: what() if number == WHICH else None, nothing
    )


def hold(number):
    """Leaves one capture open until the thread that watches has called into it."""
    if number == WHICH:
        time.sleep(HELD_PERIODS * PERIOD)


def hang():
    say("serve-probe holds a capture open for ever")
    threading.Event().wait()


def allocate():
    import torch

    torch.empty(1 << 45, dtype=torch.uint8, device="cuda")


def device_in_use():
    """The number of the GPU that this process holds tensors on, None while it holds none."""
    torch = sys.modules.get("torch")
    if torch is None or SERVER.probe.model_module not in sys.modules:
        return None
    try:
        if not torch.cuda.is_initialized():
            return None
        for device in range(torch.cuda.device_count()):
            if torch.cuda.memory_stats(device).get("reserved_bytes.all.current", 0) > 0:
                return device
    except Exception:  # a torch that is still being imported
        return None
    return None


def runtime_of_torch(prefix):
    """The mapped runtime that torch uses. Wheels beside it (torchvision's) can bring copies."""
    from graph_probe.library import RUNTIME_STEM, mapped_files

    mapped = mapped_files(Path("/proc/self/maps").read_text(), RUNTIME_STEM[prefix])
    beside = [file.path for file in mapped if "/torch/lib/" in file.path or "/nvidia/" in file.path]
    return (beside or [file.path for file in mapped])[0]


class Watcher:
    """A thread that calls the GPU runtime, as a watchdog does, but in a mode that is wrong."""

    def __init__(self):
        self.prefix = "hip" if sys.modules["torch"].version.hip is not None else "cuda"
        self.library = ctypes.CDLL(runtime_of_torch(self.prefix))

    def call(self, name, *arguments):
        return getattr(self.library, self.prefix + name)(*arguments)

    def run(self, device):
        event, stream = ctypes.c_void_p(), ctypes.c_void_p()
        statuses = [
            self.call("SetDevice", device),
            self.call("EventCreateWithFlags", ctypes.byref(event), DISABLE_TIMING),
            self.call("StreamCreateWithFlags", ctypes.byref(stream), NON_BLOCKING),
            self.call("EventRecord", event, stream),
        ]
        if KIND == "query-relaxed":
            mode = ctypes.c_int(RELAXED)
            statuses.append(self.call("ThreadExchangeStreamCaptureMode", ctypes.byref(mode)))
        say(f"{KIND} every {PERIOD} s on device {device}; statuses {statuses}")
        calls = refused = 0
        while True:
            time.sleep(PERIOD)
            if KIND == "synchronize":
                status = self.call("DeviceSynchronize") if Capture.open else 0
            else:
                status = self.call("EventQuery", event)
            calls += 1
            if status not in (NO_SUCH_FAILURE, NOT_READY):
                refused += 1
                if refused in (1, 10, 100):
                    say(f"{KIND}: status {status}, refused {refused} of {calls}")
            elif calls in (1000, 10000, 30000):
                say(f"{KIND}: refused {refused} of {calls}")


def watch():
    device = None
    while device is None:
        time.sleep(0.02)
        device = device_in_use()
    if RANK is None or int(RANK) == device:
        Watcher().run(device)


def when_triggered(what):
    while device_in_use() is None or not Path(TRIGGER).exists():
        time.sleep(0.02)
    what()


def missing_rank(module):
    """This rank's part of every all-reduce becomes zero, in captures and out of them."""
    groups = getattr(module, SERVER.probe.groups.of)
    all_reduce = getattr(groups, SERVER.probe.groups.method)

    def without_this_rank(group, tensor, *arguments, **options):
        if group.world_size > 1 and group.rank_in_group == int(RANK):
            tensor.zero_()
        return all_reduce(group, tensor, *arguments, **options)

    setattr(groups, SERVER.probe.groups.method, without_this_rank)


def start():
    in_thread = {
        "query": watch,
        "query-relaxed": watch,
        "synchronize": watch,
        "abort-when-triggered": lambda: when_triggered(os.abort),
        "kill-when-triggered": lambda: when_triggered(lambda: os.kill(os.getpid(), signal.SIGKILL)),
    }
    of_capture = {
        "abort-in-capture": os.abort,
        "kill-in-capture": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "allocate-in-capture": allocate,
        "hang-in-capture": hang,
    }
    if in_thread.get(KIND) is watch:
        after_import("torch.cuda.graphs", lambda m: Capture.wrap(m, nothing, hold, nothing))
    if KIND in in_thread:
        threading.Thread(target=in_thread[KIND], name="serve-probe", daemon=True).start()
    elif KIND in of_capture:
        after_import("torch.cuda.graphs", in_capture(of_capture[KIND]))
    elif KIND == "missing-rank":
        after_import(SERVER.probe.groups.module, missing_rank)
    elif KIND == "race":
        from held_captures import Race

        race = Race(say)
        after_import(
            "torch.cuda.graphs", lambda m: Capture.wrap(m, race.before, race.inside, race.after)
        )


if KIND:
    start()
if os.environ.get("SERVE_PROBE_ROOTS"):
    from graph_roots import Roots

    after_import("torch.cuda.graphs", Roots(say, runtime_of_torch).wrap)
