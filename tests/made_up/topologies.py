"""Machines as the kernel shows them in sysfs: no GPU is behind any of them.

The values are those of public dumps: MI300X and MI308X in CPX from the test data of AMD's device
plugin for Kubernetes (ROCm/k8s-device-plugin, testdata/topo-mi300-cpx and topology-parsing-mi308),
the integrated GPUs and the virtual functions from bug reports. In other modes the counts of dies
and SIMDs are those of the whole GPU over the number of its partitions, as the driver has them.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

NODES = "sys/class/kfd/kfd/topology/nodes"
CPU = {
    "cpu_cores_count": 96,
    "simd_count": 0,
    "gfx_target_version": 0,
    "device_id": 0,
    "location_id": 0,
    "domain": 0,
    "drm_render_minor": 0,
}


@dataclass(frozen=True)
class Gpu:
    """A GPU by what its nodes say."""

    version: int
    device_id: int
    simds: int
    dies: int
    location: int = 0
    domain: int = 0
    unique_id: int | None = None
    partitions: int = 1
    memory: str | None = None
    """What current_memory_partition of its first render node holds."""

    def nodes(self, first_minor: int) -> list[dict[str, int]]:
        """The properties of each of its nodes."""
        unique = {} if self.unique_id is None else {"unique_id": self.unique_id}
        return [
            {
                "cpu_cores_count": 0,
                "simd_count": self.simds // self.partitions,
                "gfx_target_version": self.version,
                "vendor_id": 4098,
                "device_id": self.device_id,
                "location_id": self.location + number,
                "domain": self.domain,
                "drm_render_minor": first_minor + number,
                **unique,
                "num_xcc": self.dies // self.partitions,
            }
            for number in range(self.partitions)
        ]


SLOTS = (1280, 9984, 18176, 25856, 34048, 42752, 50944, 58624)
UNIQUE_IDS = (
    *(16404946649897475633, 2472748907779728154, 15565237874008425757, 12035684874187068538),
    *(15304831566906821053, 13644590235195043050, 13326531576914550249, 15931900197903628278),
)
MI300X = Gpu(90402, 29857, 1216, 8)
MI300X_VF = replace(MI300X, device_id=29877)
MI300A = Gpu(90402, 29856, 912, 6)
MI308X = Gpu(90402, 29858, 320, 4)
MI325X = replace(MI300X, device_id=29861)
MI350X = Gpu(90500, 30112, 1024, 8)
MI355X = replace(MI350X, device_id=30115)
# A Ryzen 9 9950X's, and a Ryzen 7 7840's.
GFX1036 = Gpu(100306, 5056, 4, 1, location=4096)
GFX1103 = Gpu(110003, 5567, 24, 1, location=50432)


def several(gpu: Gpu, count: int = 8, **changes: object) -> list[Gpu]:
    """Several of a kind, each in a slot of its own."""
    kind = replace(gpu, **changes)  # type: ignore[arg-type]
    places = zip(SLOTS[:count], UNIQUE_IDS[:count], strict=True)
    return [replace(kind, location=slot, unique_id=unique) for slot, unique in places]


# Each virtual function is the only device of a PCI domain; Azure numbers them so.
AZURE = [replace(MI300X_VF, domain=domain, unique_id=0) for domain in (2, 3, 7, 8)]


def write(root: Path, gpus: Sequence[Gpu]) -> Path:
    """Make a root the one of a machine with two CPUs and these GPUs, and every device in it."""
    for folder in (NODES, "dev/dri"):
        shutil.rmtree(root / folder, ignore_errors=True)
        (root / folder).mkdir(parents=True)
    (root / "dev/kfd").touch()
    found = [CPU, CPU]
    for gpu in gpus:
        first = 126 + len(found)
        if gpu.memory:
            device = root / f"sys/class/drm/renderD{first}/device"
            device.mkdir(parents=True, exist_ok=True)
            (device / "current_memory_partition").write_text(f"{gpu.memory}\n")
        found += gpu.nodes(first)
    for number, properties in enumerate(found):
        node = root / NODES / str(number)
        node.mkdir()
        text = "".join(f"{key} {value}\n" for key, value in properties.items())
        (node / "properties").write_text(text)
        if properties["drm_render_minor"]:
            (root / f"dev/dri/renderD{properties['drm_render_minor']}").touch()
    return root
