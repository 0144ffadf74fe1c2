"""`graph-probe serve` in a process of its own, against the stand-ins for servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from raw_logs import PACKAGES, STAND_IN_SERVER

# GPUs that are not there: the machine is made up, everything after it is the program's own.
PROGRAM = """
import os, sys
from graph_probe.device import Device, RuntimeFacts
from serve_probe import command_line, machine
count = int(os.environ["GPUS"])
gpus = tuple(Device(number, "no GPU", "sm_00", "sm_00") for number in range(count))
facts = RuntimeFacts("cuda", "none", 0, "CUDA 0.0", False)
machine.describe = lambda backend, gfx, server: machine.Machine(facts, gpus, {"sglang": "0"})
sys.exit(command_line.main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Done:
    code: int
    found: dict[str, Any]
    stderr: str

    def failed(self) -> set[str]:
        results = self.found["sizes"] + self.found["races"]
        return {c["name"] for result in results for c in result["checks"] if not c["passed"]}


def environment(how: str, gpus: int = 2) -> dict[str, str]:
    paths = os.pathsep.join([str(PACKAGES), str(STAND_IN_SERVER)])
    return {**os.environ, "PYTHONPATH": paths, "STAND_IN": how, "GPUS": str(gpus)}


def serve(*arguments: str, how: str = "", gpus: int = 2) -> Done:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "--json", *arguments],
        env=environment(how, gpus),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Done(done.returncode, json.loads(done.stdout), done.stderr)
