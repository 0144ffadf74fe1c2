"""Renders catalogue.html: which image to run on which GPU, as one file that needs no network."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from packaging.version import Version

from rocm_images.catalogue.bills import name_of
from rocm_images.catalogue.merge import in_order
from rocm_images.catalogue.schema import Catalogue, CatalogueEntry, TestedOn
from rocm_images.catalogue.support import ends_of, this_day
from rocm_images.catalogue.verifying import (
    Publisher,
    cosign_commands,
    publisher_of,
    pull_command,
    sbom_commands,
)
from rocm_images.engine.run_flags import (
    MODEL_CACHE,
    MODEL_VOLUME,
    RunOptions,
    docker_run,
    run_flags,
    serving_command,
)
from rocm_images.matrix.references import address_of
from rocm_images.recipe import templates
from rocm_images.registry.trust import Trust
from rocm_images.servers import SERVERS, server_of
from rocm_images.tables import bytes_in_words

GPUS = 8
"""A machine with these GPUs usually has eight of them."""
MAKER = "AMD Instinct "
"""What every GPU's name begins with: left out where there is little room."""


@dataclass(frozen=True)
class LevelInWords:
    """What a level of evidence means, for people who do not know the word."""

    badge: str
    sentence: str
    on_a_gpu: bool


@dataclass(frozen=True)
class BetterImage:
    """The recommended image for the same GPUs, by its place on the page."""

    anchor: str
    rocm: str


@dataclass(frozen=True)
class ShownImage:
    """An image with what the page says of it."""

    image: CatalogueEntry
    anchor: str
    command: str
    level: LevelInWords
    better: BetterImage | None
    publisher: Publisher

    @property
    def verifying(self) -> tuple[str, str]:
        """The commands that verify it: the program's own, and cosign's."""
        return (
            pull_command(self.image, self.publisher),
            cosign_commands(self.image, self.publisher),
        )

    @property
    def listing(self) -> tuple[str, str]:
        """The commands that say what it holds: the program's own, and cosign's."""
        return sbom_commands(self.image.reference, self.publisher)

    @property
    def server(self) -> str:
        """The inference server, as texts name it."""
        return _title(self.image.server)

    @property
    def tensor(self) -> str:
        """The option of the command that takes the number of GPUs."""
        return server_of(self.image.server).arguments.tensor[0]

    @property
    def all_reduce(self) -> str:
        """Whose all-reduce it uses, as texts name it."""
        whose = self.image.all_reduce.default
        titles = server_of(self.image.server).all_reduce.titles
        own = "'s own" if whose == self.image.server else "'s"
        return titles.get(whose, whose) + own

    @property
    def pulls(self) -> tuple[tuple[str, int], ...]:
        """What a node has already, and the compressed bytes that it pulls then."""
        pulls = self.image.pulls
        found = (
            (f"With {pulls.previous}", pulls.with_previous),
            ("With that for other GPUs", pulls.with_other_arch),
            ("With the base alone", pulls.with_base),
        )
        return tuple((what, size) for what, size in found if size is not None)

    @property
    def gpus_json(self) -> str:
        """The GPUs as JSON, for the script."""
        return json.dumps(self.image.gpus)


def level_in_words(tested_on: TestedOn) -> LevelInWords:
    """What the image was tested on."""
    devices = ", ".join(tested_on.devices) or "a GPU whose name is not known"
    levels = {
        "static": LevelInWords(
            "No GPU has run it",
            "No GPU has run this image. What it holds was checked without one.",
            False,
        ),
        "stand-in": LevelInWords(
            "Tested on a stand-in, no GPU",
            "On a stand-in: an imitation of HIP on a CPU. That says nothing about ROCm, and no GPU "
            "has run this image.",
            False,
        ),
        "emulated": LevelInWords(
            "HIP runtime tested, no GPU",
            "The graph probe ran on this image's own HIP runtime, on emulated GPUs: how that "
            "runtime treats captures and graphs. No GPU has run this image; nothing is known from "
            "it of the driver, RCCL, the server's kernels or the order of memory accesses.",
            False,
        ),
        "gpu": LevelInWords(
            "Probed on a GPU",
            f"The graph probe ran in this image on {devices}. The server itself has not.",
            True,
        ),
        "serve": LevelInWords(
            "Served on a GPU", f"The server served a model in this image on {devices}.", True
        ),
    }
    return levels[str(tested_on.level)]


def page(
    catalogue: Catalogue,
    trust: Trust | None = None,
    today: datetime.date | None = None,
    bills: Collection[str] = (),
) -> str:
    """The whole page as HTML; every text of the catalogue is escaped.

    Args:
        catalogue: what is shown.
        trust: whose signature it has; None where nobody said, and its commands name cosign.pub.
        today: the day on which it is read.
        bills: the digests of images whose bills of materials lie beside it (bills.py).
    """
    today = today or this_day()
    style, script = (templates.as_written(f"catalogue/page.{kind}") for kind in ("css", "js"))
    publisher = publisher_of(trust)
    images = tuple(_shown(in_order(catalogue.images), publisher))
    text = templates.rendered(
        templates.environment("catalogue", autoescape=True),
        "page.html.j2",
        images=images,
        history=catalogue.history,
        updated=catalogue.updated,
        any_stand_in=any(image.stand_in for image in (*catalogue.images, *catalogue.history)),
        gpus=_in_order(gpu for shown in images for gpu in shown.image.gpus),
        rocms=_newest_first(image.rocm for image in catalogue.images),
        servers=_in_order(_title(image.server) for image in catalogue.images),
        versions=_newest_first(image.version for image in catalogue.images),
        channels=_in_order(image.channel or "" for image in catalogue.images),
        address_of=address_of,
        publisher=publisher,
        maker=MAKER,
        model_volume=MODEL_VOLUME,
        model_cache=MODEL_CACHE,
        bytes_in_words=bytes_in_words,
        bills=bills,
        bill_of=name_of,
        day_of=day_of,
        ends_of=ends_of,
        today=today,
        # Ours, not the catalogue's.
        style=Markup(style),
        script=Markup(script),
        content_security_policy=(
            f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
            "base-uri 'none'; form-action 'none'"
        ),
    )
    return text.strip() + "\n"


def _title(name: str) -> str:
    return SERVERS[name].title if name in SERVERS else name


def day_of(time: str) -> str:
    """The day of a point in time, in UTC."""
    point = datetime.datetime.fromisoformat(time).astimezone(datetime.timezone.utc)
    return point.date().isoformat()


def _shown(images: Sequence[CatalogueEntry], publisher: Publisher) -> Iterable[ShownImage]:
    anchors = _anchors(images)
    for image, anchor in zip(images, anchors, strict=True):
        server = server_of(image.server)
        command = serving_command(server, "MODEL", server.port, GPUS)
        yield ShownImage(
            image,
            anchor,
            docker_run(run_flags(RunOptions(server.port)), image.reference, command),
            level_in_words(image.tested_on),
            next(
                (
                    BetterImage(other_anchor, other.rocm)
                    for other, other_anchor in zip(images, anchors, strict=True)
                    if other.recommended and other != image and _same_but_rocm(image, other)
                ),
                None,
            ),
            publisher,
        )


def _anchors(images: Sequence[CatalogueEntry]) -> list[str]:
    """A name for each image that is one on the page, though two repositories may have one tag."""
    found: list[str] = []
    for number, image in enumerate(images):
        tag = image.immutable_tag
        found.append(f"{tag}.{number}" if tag in found else tag)
    return found


def _same_but_rocm(image: CatalogueEntry, other: CatalogueEntry) -> bool:
    keys = [(i.repository, i.channel, i.arch, i.version) for i in (image, other)]
    return keys[0] == keys[1]


def _in_order(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _newest_first(versions: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(versions), key=Version, reverse=True))


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
