"""What the programs in an image know about it: image.json, which image_facts reads there."""

from __future__ import annotations

import json

from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell


def image_json(matrix: Matrix, cell: Cell) -> str:
    """The file of one cell, as JSON."""
    facts = {
        "cell": cell.name,
        "gfx": cell.gfx,
        "gpus": list(cell.gpus),
        "rocm": cell.rocm,
        "server": cell.server.name,
        "versions": cell.versions,
        "packages": {name: package.version for name, package in cell.packages.items()},
        "capture_guard": cell.capture_guard,
        "env": cell.env,
        "warnings": [
            {
                "id": advisory.id,
                "text": f"{advisory.component}: {advisory.symptom}. "
                f"Use an image on ROCm {advisory.base_at_least} or later.",
            }
            for advisory in cell.warnings
        ],
        **hip_facts(matrix, cell),
        # Only where the matrix says one, so that other images stay what they are.
        **({"supported_until": cell.supported_until} if cell.supported_until else {}),
    }
    return json.dumps(facts, indent=2, ensure_ascii=False)


def hip_facts(matrix: Matrix, cell: Cell | None) -> dict[str, object]:
    """Those of HIP: the releases by build, and the capture bug. Without a cell, of any image."""
    here = [a for a in cell.advisories if a.capture_guard] if cell else []
    bugs = here or [advisory for advisory in matrix.advisories if advisory.capture_guard]
    builds = [
        {"hip": hip, "first": build.first, "last": build.last}
        for hip, build in matrix.hip_builds.items()
    ]
    return {
        # The shell in an image compares no versions: the advisory's range was asked here.
        "capture_bug": {
            "here": bool(here),
            "free_from": bugs[0].base_at_least,
            "reference": bugs[0].references[0],
        }
        if bugs
        else None,
        "hip_builds": builds,
    }
