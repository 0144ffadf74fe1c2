"""What the tiers of a self-test found, made up: all of it good."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from image_selftest.tiers import Tier
from rocm_images.plan.cells import Cell

LAUNCHER = Path(__file__).parents[3] / "images" / "rootfs" / "usr" / "local" / "bin"
IMAGE_ID = "sha256:" + "ab" * 32
DATE = "2026-11-24T01:00:00+00:00"


def description(cell: Cell) -> dict[str, Any]:
    return {"cell": cell.name, "gfx": cell.gfx, "rocm": cell.rocm}


def probe_found(*, stand_in: bool, emulated: bool = False) -> dict[str, Any]:
    emulator = {"emulator": {"path": "/e", "sha256": "ab", "version": "1"}} if emulated else {}
    return {
        "exit_code": 0,
        "runtime": {"is_stand_in": stand_in, **emulator},
        "devices": [{"name": "a GPU", "gfx": "gfx942"}, {"name": "a GPU", "gfx": "gfx942"}],
    }


def serve_found() -> dict[str, Any]:
    server = {"loads": [{"tokens_per_second": 34.9}], "greedy": [[1, 2]]}
    size = {
        "passed": True,
        "checks": [{"name": "ready", "passed": True}],
        "graph": server,
        "eager": copy.deepcopy(server),
    }
    return {
        "exit_code": 0,
        "runtime": {"is_stand_in": False},
        "devices": probe_found(stand_in=False)["devices"],
        "versions": {"sglang": "0.5.21"},
        "sizes": [{"tensor_parallel": 1, **size}, {"tensor_parallel": 2, **copy.deepcopy(size)}],
    }


def race_found() -> dict[str, Any]:
    race = {
        "passed": True,
        "checks": [{"name": "held-open", "passed": True}],
        "captures": 5,
        "watchdog_periods": 100,
    }
    return {
        "exit_code": 0,
        "devices": probe_found(stand_in=False)["devices"],
        "races": [{"tensor_parallel": 1, **race}, {"tensor_parallel": 2, **copy.deepcopy(race)}],
    }


DOCTOR = Tier("doctor", "passed", "", 1.0, 0, {"checks": [{"name": "torch", "status": "pass"}]})
NO_PROBE = Tier("probe", "not-run", "not run: no GPU", 1.0, 20, {"exit_code": 20, "devices": []})
NO_SERVE = Tier("serve", "not-run", "not run: no GPU")
NO_RACE = Tier("race", "not-run", "not run: no GPU")


def tiers_at(level: str) -> list[Tier]:
    if level == "static":
        return [DOCTOR, NO_PROBE, NO_SERVE, NO_RACE]
    probe = Tier("probe", "passed", "", 1.0, 0, probe_found(stand_in=level == "stand-in"))
    if level != "serve":
        return [DOCTOR, probe, NO_SERVE, NO_RACE]
    serve = Tier("serve", "passed", "", 1.0, 0, serve_found())
    return [DOCTOR, probe, serve, Tier("race", "passed", "", 1.0, 0, race_found())]
