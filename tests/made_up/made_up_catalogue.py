"""Made-up catalogue entries. No such image was ever published and no GPU has run any of this."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from rocm_images.catalogue.entry import entry_of
from rocm_images.catalogue.merge import merged
from rocm_images.catalogue.schema import Catalogue, CatalogueEntry
from rocm_images.engine.run_flags import AS_DEPLOYED
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.smoke.evidence import Evidence, Level

PLACE = "registry.example.org/made-up"
REPOSITORY = f"{PLACE}/sglang-rocm"
"""Of the default server's images."""
FIRST, SECOND = "2026-01-02T03:04:05+00:00", "2026-02-03T04:05:06+00:00"


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def manifest(cell: Cell, build: str = "1") -> dict[str, Any]:
    """Two layers of the base, one for all archs on it, one of the arch."""
    names = [
        f"{cell.rocm} base",
        f"{cell.rocm} rest of it",
        f"{cell.rocm} python",
        cell.name + build,
    ]
    sizes = [9_000_000_000, 1_400_000_000, 800_000_000, 1_250_000_000]
    layers = [
        {
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": digest(name),
            "size": size,
        }
        for name, size in zip(names, sizes, strict=True)
    ]
    return {"schemaVersion": 2, "config": {"size": 10_000}, "layers": layers}


def probe(name: str, gfx: str, *, stand_in: bool, rocm: str) -> dict[str, Any]:
    unsafe = rocm == "7.2.0"
    return {
        "runtime": {"is_stand_in": stand_in, "version_text": f"HIP of ROCm {rocm}, made up"},
        "devices": [{"index": index, "name": name, "gfx": gfx} for index in range(2)],
        "capture": {"verdict": "unsafe", "bugs": ["A"]} if unsafe else {"verdict": "safe"},
        "judgement": {
            "all_reduce": "sglang" if unsafe else "aiter",
            "verdict": "mitigated" if unsafe else "fits",
        },
    }


def passed(cell: str, **changes: Any) -> Evidence:
    """Evidence of a smoke test without a GPU, which passed."""
    whole = Evidence(
        cell=cell,
        image_id=digest(f"image {cell}"),
        level=Level.STATIC,
        passed=True,
        tests_passed=17,
        tests_failed=0,
        failures=(),
        seconds=1.5,
        date=FIRST,
        tests="0" * 64,
        probe=None,
    )
    return replace(whole, **changes)


def evidence(cell: Cell, level: Level = Level.STATIC) -> Evidence:
    """Evidence of that level, as the probe would have given it."""
    found = None
    if level is not Level.STATIC:
        stand_in = level is Level.STAND_IN
        name = "HIP stand-in" if stand_in else "a made-up GPU"
        found = probe(name, cell.gfx, stand_in=stand_in, rocm=cell.rocm)
    ran_as = AS_DEPLOYED if level.reaches(Level.GPU) else None
    return passed(cell.name, level=level, probe=found, ran_as=ran_as)


def entry(
    cell: Cell,
    *,
    build: str = "1",
    level: Level = Level.STATIC,
    published: str = FIRST,
    **changes: Any,
) -> CatalogueEntry:
    """The entry of one build of a cell."""
    suffix = "-rehearsal" if changes.get("stand_in") else ""
    build_id = digest(f"build {cell.name} {build}").removeprefix("sha256:")
    given: dict[str, Any] = {
        "repository": f"{PLACE}/{cell.repository}",
        "tags": [tag + suffix for tag in cell.tags],
        "immutable_tag": f"{cell.tags[0]}-{build_id[:12]}{suffix}",
        "digest": digest(f"manifest {cell.name} {build}"),
        "manifest": manifest(cell, build),
        "evidence": evidence(cell, level),
        "build_id": build_id,
        "channel": "preview",
        "published": published,
        "stand_in": False,
        "unpacked": 45_600_000_000,
    }
    return entry_of(cell, **{**given, **changes})


def of_server(image: CatalogueEntry, name: str, version: str) -> CatalogueEntry:
    """The same image, had it another inference server in it."""
    suffix = image.tags[0].partition("-")[2] if image.tags else image.arch
    return image.model_copy(
        update={
            "server": name,
            "version": version,
            "cell": image.cell.replace(image.server, name, 1),
            "repository": image.repository.replace(image.server, name),
            "tags": (f"v{version}-{suffix}",),
            "immutable_tag": f"v{version}-{suffix}-{image.build_id[:12]}",
            "digest": digest(name + image.digest),
        }
    )


def of_both_servers(matrix: Matrix, name: str, version: str) -> Catalogue:
    """Every cell of the default server, and the same images of that other one, in one list."""
    images = [image for image in catalogue(matrix).images if image.server == matrix.default_server]
    others = [of_server(image, name, version) for image in images]
    return merged(None, [*images, *others], SECOND)


def catalogue(matrix: Matrix) -> Catalogue:
    """Every cell of a matrix, on three levels, and the images that these replaced."""
    levels = {"sglang-942-rocm7.2.2": Level.GPU, "sglang-950-rocm7.2.0": Level.STAND_IN}
    before = [entry(cell, build="0", level=Level.STATIC) for cell in cells_of(matrix)]
    now = [
        entry(cell, level=level, published=SECOND, stand_in=level is Level.STAND_IN)
        for cell in cells_of(matrix)
        for level in [levels.get(cell.name, Level.STATIC)]
    ]
    return merged(merged(None, before, FIRST), now, SECOND)
