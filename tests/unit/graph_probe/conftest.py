"""What the tests of the graph probe share: where its package is, and outcomes of cases."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOTFS = Path(__file__).parents[3] / "images" / "rootfs"
PACKAGES = ROOTFS / "opt" / "rocm-images"
for folder in (PACKAGES, Path(__file__).parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from graph_probe.cases import CASES, Case, Kind, Observation, Outcome  # noqa: E402
from observations import KILLED, SURVIVED  # noqa: E402


@pytest.fixture
def outcomes() -> Callable[..., list[Outcome]]:
    """Every case, as a healthy runtime gives it, but for those that `changed` answers."""

    def make(changed: Callable[[Case], Observation | None] = lambda case: None) -> list[Outcome]:
        healthy = {
            Kind.MUST_SURVIVE: SURVIVED,
            Kind.CONTROL: KILLED,
            Kind.INFORMATION: KILLED,
        }
        return [Outcome(case, changed(case) or healthy[case.kind]) for case in CASES]

    return make


@pytest.fixture
def packages() -> str:
    return str(PACKAGES)


@pytest.fixture
def launcher() -> str:
    return str(ROOTFS / "usr" / "local" / "bin" / "graph-probe")


@pytest.fixture
def image_json(tmp_path: Path) -> dict[str, str]:
    """An environment that names an image description for gfx942."""
    path = tmp_path / "image.json"
    path.write_text('{"gfx": "gfx942"}')
    return {"GRAPH_PROBE_IMAGE_JSON": str(path)}
