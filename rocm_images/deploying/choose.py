"""Chooses an image of a catalogue: the recommended one for a GPU, or the one that a user named."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence

from rocm_images.catalogue.schema import DEFAULT_CHANNEL, Catalogue, CatalogueEntry
from rocm_images.catalogue.support import support_notes, this_day
from rocm_images.engine.run_flags import AS_DEPLOYED
from rocm_images.errors import InputError, archs_listed, closest, known_archs, known_versions
from rocm_images.plan.selection import arch_names
from rocm_images.servers import server_of

_GPU = re.compile(r"(?<![a-z0-9])(?:mi[0-9]+[a-z]*|gfx[0-9a-f]+)(?![a-z0-9])")
"""A GPU, its gfx or its family within a name, in lower case."""


def recommended(
    catalogue: Catalogue,
    arch: str,
    *,
    server: str | None = None,
    rocm: str | None = None,
    channel: str | None = None,
    pre: bool = False,
) -> CatalogueEntry:
    """The image to prefer for an arch: 942 as in the matrix, its gfx (gfx942), or a GPU (MI300X).

    A server has to be named where the catalogue has images of several for that arch. A stand-in is
    chosen only where there is nothing else. Without a channel, `stable` is meant where there is
    one. Pre-releases of the server (PEP 440) count only where `pre` asks for them.

    Raises:
        InputError: there is no image of that arch, server, ROCm release or channel, only
            pre-releases, or a server has to be named.
    """
    images = _of_arch(catalogue, arch)
    if not images:
        gpus = {image.arch: image.gpus for image in catalogue.images}
        hint = known_archs(gpus) if gpus else "it has no image at all"
        raise InputError(f"the catalogue has no image for the arch {arch.strip()!r}: {hint}")
    images = _of_server(images, server, arch)
    if channel is None and any(image.channel == DEFAULT_CHANNEL for image in images):
        channel = DEFAULT_CHANNEL
    if channel is not None:
        images = _only(images, "channel", channel, arch, [image.channel or "" for image in images])
    if rocm is not None:
        images = _only(images, "rocm", rocm, arch, [image.rocm for image in images])
    images = [image for image in images if not image.stand_in] or images
    if not pre:
        images = _released(images, arch, channel)
    return max(images, key=lambda image: (image.recommended, image.newness))


def servers_of(catalogue: Catalogue, arch: str) -> list[str]:
    """The servers of which there are images for an arch, as the matrix names them."""
    return sorted({image.server for image in _of_arch(catalogue, arch)})


def named(catalogue: Catalogue, text: str) -> CatalogueEntry:
    """The image that a user named: by a tag, a digest, or a whole reference.

    Images that were replaced are found by their immutable tag and their digest.

    Raises:
        InputError: there is none, or several repositories have it.
    """
    found = [image for image in catalogue.images if text in _names(image, image.tags)]
    found = found or [image for image in catalogue.history if text in _names(image, ())]
    references = sorted({image.reference for image in found})
    if len(references) > 1:
        raise InputError(f"{text!r} is more than one image: name one of {', '.join(references)}")
    if not found:
        raise InputError(f"the catalogue has no image {text!r}: {_meant(catalogue, text)}")
    return found[0]


def _meant(catalogue: Catalogue, text: str) -> str:
    """A hint to end a sentence with: a tag that looks alike, of no other GPU than is named."""
    if not catalogue.images:
        return "it has no image at all"
    gpus = {image.arch: image.gpus for image in catalogue.images}
    tags = [(image, (*image.tags, image.immutable_tag)) for image in catalogue.images]
    named = {*_GPU.findall(text.lower())}
    alike = [
        tag
        for image, own in tags
        if not named
        or named & arch_names(image.gfx, *image.gpus, *_GPU.findall(" ".join(own).lower()))
        for tag in own
    ]
    return closest(text, alike) if alike else f"its images are for {archs_listed(gpus)}"


def notes(image: CatalogueEntry, today: datetime.date | None = None) -> list[str]:
    """What someone should know who is about to run the image today, each as a sentence."""
    found = []
    if image.stand_in:
        found.append("this is a stand-in of a rehearsal: it holds no ROCm and serves nothing.")
    if image.is_prerelease:
        title = server_of(image.server).title
        found.append(f"{image.version} is a pre-release of {title}, not a release.")
    if str(image.tested_on.level) in ("static", "stand-in", "emulated"):
        found.append("no GPU has run this image.")
    elif image.tested_on.ran_as != AS_DEPLOYED:
        found.append(
            "a GPU ran it with other flags than `run-args` prints, or with flags not recorded."
        )
    if not image.tested_on.passed:
        found.append(f"it failed {image.tested_on.tests_failed} of its tests.")
    found += [
        f"{issue.id}: {issue.symptom}. A base on ROCm {issue.better_base} or later is free of it."
        for issue in image.warnings
    ]
    found += [f"{sentence}." for sentence in support_notes(image, today or this_day())]
    return found


def _names(image: CatalogueEntry, tags: Sequence[str]) -> set[str]:
    names = {image.digest, image.reference}
    for tag in (*tags, image.immutable_tag):
        names |= {tag, f"{image.repository}:{tag}", f"{image.repository}:{tag}@{image.digest}"}
    return names


def _of_arch(catalogue: Catalogue, arch: str) -> list[CatalogueEntry]:
    return [
        image
        for image in catalogue.images
        if arch.strip().lower() in arch_names(image.arch, image.gfx, *image.gpus)
    ]


def _of_server(
    images: Sequence[CatalogueEntry], server: str | None, arch: str
) -> list[CatalogueEntry]:
    known = sorted({image.server for image in images})
    if server is None:
        server = known[0]
        if len(known) > 1:
            raise InputError(
                f"the catalogue has images for {arch} of {' and '.join(known)}: name one with "
                "--server"
            )
    return _only(images, "server", server, arch, known)


def _released(
    images: Sequence[CatalogueEntry], arch: str, channel: str | None
) -> list[CatalogueEntry]:
    found = [image for image in images if not image.is_prerelease]
    if not found:
        newest = sorted({image.newness[0] for image in images}, reverse=True)
        where = f" in channel {channel}" if channel else ""
        raise InputError(
            f"what the catalogue has for {arch}{where} is pre-releases only "
            f"({', '.join(map(str, newest))}): ask for the newest of them with --pre, or choose "
            "another --channel or --rocm"
        )
    return found


def _only(
    images: Iterable[CatalogueEntry], key: str, value: str, arch: str, known: Iterable[str]
) -> list[CatalogueEntry]:
    value = value.strip()
    found = [image for image in images if getattr(image, key) == value]
    if not found:
        names = {"server": "of", "rocm": "on ROCm", "channel": "in channel"}
        hint = (known_versions if key == "rocm" else closest)(value, {*known} - {""} or {"none"})
        raise InputError(f"the catalogue has no image for {arch} {names[key]} {value!r}: {hint}")
    return found


def is_reference(text: str) -> bool:
    """Whether a text is a whole image reference, which needs no catalogue: NAME:TAG or NAME@..."""
    return bool(re.search(r"[/:@]", text)) and not text.startswith("sha256:")
