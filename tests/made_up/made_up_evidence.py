"""Evidence of a smoke test that never ran, and what its probe and its server would have printed."""

from __future__ import annotations

from typing import Any

from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.smoke.evidence import Evidence, Level

IMAGE_ID = "sha256:" + "ab" * 32


EMULATOR = {"path": "/opt/emulation/libhsa-runtime64.so.1", "sha256": "e" * 64, "version": "1"}


def probe(
    *, stand_in: bool, emulator: dict[str, str] | None = None, name: str = "a device"
) -> dict[str, Any]:
    return {
        "runtime": {
            "is_stand_in": stand_in,
            "version_text": "HIP 7.2.53211",
            "sha256": "d" * 64,
            "emulator": emulator,
        },
        "devices": [{"gfx": "gfx942", "name": name}, {"gfx": "gfx942", "name": name}],
        "capture": {"verdict": "unsafe", "bugs": ["A", "B"]},
        "decode": {"batches": [{"tokens_per_second": {"eager": 10.0, "replay": 20.4}}]},
        "judgement": {"all_reduce": "sglang", "verdict": "mitigated"},
    }


def serve(*, passed: bool = True, stand_in: bool = False) -> dict[str, Any]:
    loads = [{"tokens_per_second": rate} for rate in (34.9, 128.8, 250.7)]
    return {
        "exit_code": 0 if passed else 40,
        "runtime": {"is_stand_in": stand_in},
        "versions": {"sglang": "0.5.21"},
        "sizes": [{"tensor_parallel": 8, "passed": passed, "graph": {"loads": loads}}],
    }


def evidence(
    matrix: Matrix,
    device: Level,
    found: dict[str, Any] | None,
    failures: tuple[str, ...] = (),
    served: dict[str, Any] | None = None,
) -> Evidence:
    return Evidence.of(
        cells_of(matrix)[0],
        IMAGE_ID,
        device=device,
        passed=3,
        failures=failures,
        seconds=1.23,
        tests="0" * 64,
        probe=found,
        serve=served,
    )
