"""What is injected into a server's processes reaches each server where that one does it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from image_servers import SERVERS
from raw_logs import PACKAGES
from serve_probe.provocation import INJECTION, KIND, RANK, SERVER

SERVED = [server for server in SERVERS.values() if server.probe.groups]
MODULE = """
class {group}:
    world_size, rank_in_group = 2, {rank}

    def {method}(self, tensor):
        return tensor.value
"""
PROGRAM = """
import {module} as module

class Tensor:
    value = 7

    def zero_(self):
        self.value = 0

print(module.{group}().{method}(Tensor()))
"""


@pytest.mark.parametrize("name", [server.name for server in SERVED])
@pytest.mark.parametrize(("rank", "left"), [(1, "0"), (0, "7")])
def test_a_lost_ranks_part_of_an_all_reduce_is_zero(
    tmp_path: Path, name: str, rank: int, left: str
) -> None:
    groups = SERVERS[name].probe.groups
    assert groups is not None
    place = tmp_path / Path(*groups.module.split(".")).with_suffix(".py")
    place.parent.mkdir(parents=True)
    place.write_text(MODULE.format(group=groups.of, method=groups.method, rank=rank))
    program = PROGRAM.format(module=groups.module, group=groups.of, method=groups.method)
    paths = os.pathsep.join(map(str, (INJECTION, PACKAGES, tmp_path)))
    told = {"PYTHONPATH": paths, SERVER: name, KIND: "missing-rank", RANK: "1"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.stdout, done.stderr) == (f"{left}\n", "")
