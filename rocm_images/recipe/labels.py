"""The labels of an image: OCI's own, and ours under one prefix."""

from __future__ import annotations

from rocm_images.plan.cells import Cell

PREFIX = "rocm-serving-images."
# Set by the rehearsal's base image, inherited by every image that is built on it.
STAND_IN = PREFIX + "stand-in"
# Whose HIP runtime a rehearsal's base has: a package of AMD's, or IMITATION for our own.
HIP_RUNTIME = PREFIX + "hip-runtime"
IMITATION = "imitation"
# For which GPUs it is.
GFX = PREFIX + "gfx"
# The most specific of an image's rolling tags: server version, ROCm release, GPUs.
VERSION = "org.opencontainers.image.version"


def labels_of(cell: Cell) -> dict[str, str]:
    """The labels that the Dockerfile of a cell sets, sorted by name."""
    image, name = cell.image, cell.server.name
    refs = {PREFIX + other: one.ref for other, one in cell.sources.items() if other != name}
    labels = {
        # First, so that no source of that name hides one of the labels below.
        **refs,
        "org.opencontainers.image.title": f"{cell.title} ({cell.family}, ROCm {cell.rocm})",
        "org.opencontainers.image.description": (
            f"{cell.server.title} {cell.version} for {', '.join(cell.gpus)} on ROCm {cell.rocm}"
        ),
        "org.opencontainers.image.source": image.source,
        "org.opencontainers.image.documentation": f"{image.source}#readme",
        "org.opencontainers.image.licenses": image.licenses,
        VERSION: cell.tags[0],
        "org.opencontainers.image.base.name": cell.base_image,
        PREFIX + "cell": cell.name,
        PREFIX + "arch": cell.arch,
        GFX: cell.gfx,
        PREFIX + "family": cell.family,
        PREFIX + "rocm": cell.rocm,
        PREFIX + "server": name,
        PREFIX + name: cell.version,
        PREFIX + "all-reduce": cell.all_reduce,
        PREFIX + "advisories": " ".join(advisory.id for advisory in cell.advisories),
        # Whether the image has the guard; whether it is on is up to who starts it.
        PREFIX + "capture-guard": "off by default" if cell.capture_guard else "none",
        PREFIX + "warnings": " ".join(advisory.id for advisory in cell.warnings),
    }
    return dict(sorted(labels.items()))
