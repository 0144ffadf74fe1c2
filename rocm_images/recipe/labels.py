"""The labels of an image: OCI's own, and ours under one prefix; OCI's are annotations as well.

A label is read from the image's configuration; registries, and what scans them, show what the
manifest says: https://github.com/opencontainers/image-spec/blob/main/annotations.md
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone

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
_OCI = "org.opencontainers.image."
VERSION = _OCI + "version"
# The commit of what is packaged, and the digest that the base had when it was locked.
REVISION = _OCI + "revision"
BASE_DIGEST = _OCI + "base.digest"
_RFC_3339 = "%Y-%m-%dT%H:%M:%SZ"


def labels_of(cell: Cell) -> dict[str, str]:
    """The labels that the Dockerfile of a cell sets, sorted by name."""
    image, name = cell.image, cell.server.name
    refs = {PREFIX + other: one.ref for other, one in cell.sources.items() if other != name}
    labels = {
        # First, so that no source of that name hides one of the labels below.
        **refs,
        _OCI + "title": f"{cell.title} ({cell.family}, ROCm {cell.rocm})",
        _OCI + "description": (
            f"{cell.server.title} {cell.version} for {', '.join(cell.gpus)} on ROCm {cell.rocm}"
        ),
        _OCI + "created": datetime.fromtimestamp(cell.epoch, timezone.utc).strftime(_RFC_3339),
        _OCI + "source": image.source,
        _OCI + "url": image.url or image.source,
        _OCI + "documentation": f"{image.source}#readme",
        _OCI + "licenses": image.licenses,
        **({_OCI + "vendor": image.vendor} if image.vendor else {}),
        **({_OCI + "authors": image.authors} if image.authors else {}),
        VERSION: cell.tags[0],
        _OCI + "base.name": cell.base_image,
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


def annotations_of(labels: Mapping[str, str]) -> dict[str, str]:
    """What the manifest of an image with these labels says too: those that are OCI's, sorted."""
    return {name: labels[name] for name in sorted(labels) if name.startswith(_OCI)}
