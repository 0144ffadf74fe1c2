"""What runs in the probe's child processes: the parts that load the GPU runtime, and the reference.

Started by supervisor.py as `python -S -m graph_probe.child SPECIFICATION`, a JSON object.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graph_probe.channel import Channel
from graph_probe.exit_codes import ExitCode, ProbeError

if TYPE_CHECKING:
    from graph_probe.device import Device
    from graph_probe.roles import CaptureCase, Decoding, Lead, Reference, ReplayCases
    from graph_probe.runtime import Runtime

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    specification = json.loads(arguments[0])
    _die_with_parent(specification["parent"])
    # A collection during a capture could run a destructor that calls the runtime.
    gc.disable()
    channel = Channel(specification["descriptor"])
    try:
        _ROLES[specification["role"]](channel, specification)
    except ProbeError as error:
        channel.fail(error.code, error.sentence)
    except Exception:
        channel.fail(ExitCode.PROBE_DEFECT, "A child failed: " + traceback.format_exc())
    channel.leave()


def _die_with_parent(parent: int) -> None:
    """Has the kernel kill this process when the supervisor ends, however it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(0)


def _lead(channel: Channel, specification: Lead) -> None:
    """Loads, describes and compiles for all others; then decodes, where that is asked for."""
    from graph_probe import compiler, device, guard, library
    from graph_probe.runtime import CALLS, Runtime

    channel.phase("loading the runtime")
    started = time.perf_counter()
    libraries = library.load_libraries(specification["backend"], specification["torch"], os.environ)
    preloaded = guard.loaded_guard()
    runtime = Runtime(libraries, guarded=preloaded is not None)
    lacks = [name for name in CALLS if not runtime.has(name)]
    channel.send("library", libraries=libraries, guard=preloaded, lacks=lacks)
    channel.phase("asking the runtime for its devices")
    devices = device.find_devices(runtime)
    library.loaded_runtime(libraries.backend, libraries.runtime)
    facts = device.runtime_facts(runtime, devices)
    channel.send("runtime", runtime=facts, devices=devices)
    used = _used_devices(devices, specification["devices"])
    device.check_gfx(used, specification["gfx"])
    loaded = time.perf_counter()
    images: dict[str, bytes] = {}
    for target in dict.fromkeys(entry.target for entry in used):
        channel.phase(f"compiling the kernels for {target}")
        images[target] = compiler.compile_kernels(libraries, target)
    path = Path(specification["folder"], "kernels.code")
    path.write_bytes(images[used[0].target])
    compiled = time.perf_counter()
    channel.send("code", path=str(path), load=loaded - started, compile=compiled - loaded)
    if specification["decode"]:
        targets = [images[entry.target] for entry in used]
        _decode(channel, specification["decode"], runtime, targets)


def _used_devices(devices: list[Device], wanted: int | None) -> list[Device]:
    from graph_probe import model

    count = len(devices) if wanted is None else wanted
    if count > len(devices):
        raise ProbeError(
            ExitCode.BAD_ARGUMENTS,
            f"--devices {count} asks for more than the {len(devices)} visible.",
        )
    if count > model.MAXIMUM_RANKS:
        raise ProbeError(
            ExitCode.BAD_ARGUMENTS,
            f"{count} devices are more than the {model.MAXIMUM_RANKS} that the all-reduce has "
            f"flags for; pass --devices {model.MAXIMUM_RANKS}.",
        )
    return devices[:count]


def _decode(channel: Channel, asked: Decoding, runtime: Runtime, images: list[bytes]) -> None:
    from graph_probe.decode import Decode
    from graph_probe.sabotage import Sabotage

    started = time.perf_counter()
    sabotage = Sabotage(asked["sabotage"]) if asked["sabotage"] else None
    codes = {image: ctypes.create_string_buffer(image, len(image)) for image in images}
    decode = Decode(
        runtime,
        [codes[image] for image in images],
        asked["batches"],
        asked["steps"],
        sabotage,
        channel.phase,
        asked["graph_steps"],
    )
    channel.send("ready", seconds=time.perf_counter() - started)
    watchdog = channel.instruction()["watchdog"]
    channel.send("decoded", run=decode.run(watchdog))


def _case(channel: Channel, specification: CaptureCase) -> None:
    from graph_probe.capture import observe
    from graph_probe.cases import CASES
    from graph_probe.library import Libraries, loaded_runtime
    from graph_probe.runtime import Runtime

    channel.phase("loading the runtime")
    runtime = Runtime(Libraries(*specification["libraries"]), specification["guarded"])
    loaded_runtime(runtime.libraries.backend, runtime.libraries.runtime)
    runtime.check("SetDevice", 0)
    image = Path(channel.instruction()["path"]).read_bytes()
    channel.phase("capturing")
    code = ctypes.create_string_buffer(image, len(image))
    case: int | None = specification["case"]
    while case is not None:
        channel.send("observed", observation=observe(runtime, code, CASES[case]))
        case = channel.instruction()["case"]


def _replay(channel: Channel, specification: ReplayCases) -> None:
    from graph_probe import replay
    from graph_probe.library import Libraries, loaded_runtime
    from graph_probe.replay_cases import CASES
    from graph_probe.replay_stage import Stage
    from graph_probe.runtime import Runtime

    channel.phase("loading the runtime")
    runtime = Runtime(Libraries(*specification["libraries"]))
    loaded_runtime(runtime.libraries.backend, runtime.libraries.runtime)
    runtime.check("SetDevice", 0)
    image = Path(channel.instruction()["path"]).read_bytes()
    code = ctypes.create_string_buffer(image, len(image))
    streams = specification["other_streams"]
    channel.phase(f"making {streams} other streams")
    stage = Stage(runtime, code, streams, specification["sabotaged"])
    for case in specification["cases"]:
        channel.send("replaying", case=case)
        channel.phase(f"in the replay case {CASES[case].name}")
        # Its default action ends a process that is stuck in a call of the runtime, too.
        signal.alarm(replay.CASE_SECONDS)
        seen = replay.observe(stage, case, streams)
        signal.alarm(0)
        channel.send("replayed", seen=seen)


def _refer(channel: Channel, specification: Reference) -> None:
    from graph_probe import reference

    channel.phase("computing the float64 reference")
    steps = specification["steps"]
    model = reference.Reference(steps)
    rows = [model.decode(start, steps) for start in specification["starts"]]
    channel.send("reference", rows=rows)


_ROLES: dict[str, Callable[[Channel, Any], None]] = {
    "lead": _lead,
    "case": _case,
    "replay": _replay,
    "reference": _refer,
}

if __name__ == "__main__":
    main(sys.argv[1:])
