"""Makes the catalogue's entry of an image, with the sizes that its manifest does not tell."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rocm_images import telling
from rocm_images.build.targets import Target
from rocm_images.catalogue.entry import entry_of
from rocm_images.catalogue.schema import CatalogueEntry
from rocm_images.engine.connect import Engine
from rocm_images.engine.images import BUILD_ID
from rocm_images.engine.layers import layers_of
from rocm_images.errors import RocmImagesError
from rocm_images.pool import Threads
from rocm_images.publishing.candidates import AT_ONCE, Candidate, Rules
from rocm_images.recipe import labels
from rocm_images.references import CONTEXT
from rocm_images.registry.base_layers import BaseLayer, base_layers
from rocm_images.registry.published import PublishedImage
from rocm_images.smoke.evidence import Evidence
from rocm_images.telling import quoted

if TYPE_CHECKING:
    from rocm_images.publishing.transaction import Done

Bases = dict[str, "tuple[BaseLayer, ...] | None"]


@dataclass(frozen=True)
class FromOthers:
    """What neither a manifest nor evidence says of images; None where nobody does."""

    unpacked: Mapping[str, int | None]
    """Bytes of the layers unpacked, by cell."""
    bases: Bases


def asked_of_others(
    engine: Engine | None, given: Sequence[Target], ca_bundle: Path | None
) -> FromOthers:
    """Ask the engine and the bases' registries: before a tag moves, as either may not answer."""
    unpacked = {one.cell.name: unpacked_of(engine, one) for one in given}
    return FromOthers(unpacked, bases_of(given, ca_bundle))


def entries_of(rules: Rules, done: Sequence[Done], told: FromOthers) -> list[CatalogueEntry]:
    """The entries of what was just published; nobody is asked for anything.

    Raises:
        InputError: a manifest claims what cannot be.
    """
    return [
        entry_for(
            rules,
            one.candidate,
            one.image,
            one.evidence,
            unpacked=told.unpacked.get(one.candidate.cell.name),
            base=told.bases.get(base_reference(one.candidate.target) or ""),
        )
        for one in done
    ]


def entry_for(
    rules: Rules,
    one: Candidate,
    image: PublishedImage,
    evidence: Evidence,
    *,
    unpacked: int | None = None,
    base: Sequence[BaseLayer] | None = None,
) -> CatalogueEntry:
    """The entry of an image as the registry has it.

    Raises:
        InputError: its manifest claims what cannot be.
    """
    return entry_of(
        one.cell,
        repository=str(rules.repository),
        tags=one.rolling,
        immutable_tag=one.immutable,
        digest=image.digest,
        manifest=image.manifest,
        evidence=evidence,
        build_id=image.labels[BUILD_ID],
        channel=rules.channel_name,
        published=now(),
        stand_in=labels.STAND_IN in image.labels,
        steps=image.steps,
        dockerfile=one.target.dockerfile,
        unpacked=unpacked,
        base=base,
        channel_until=rules.channel.until,
    )


def unpacked_of(engine: Engine | None, one: Target) -> int | None:
    """Bytes of an image's layers, unpacked; None where the engine does not say."""
    if engine is None or one.found is None:
        return None
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        with closing(engine.client()) as client:
            layers = layers_of(client, one.found.image_id, one.dockerfile)
    except (RocmImagesError, DockerException, RequestException) as error:
        telling.step(f"note: the unpacked size of {one.cell.name} is not known: {quoted(error)}")
        return None
    return sum(layer.size for layer in layers)


def bases_of(given: Sequence[Target], ca_bundle: Path | None) -> Bases:
    """The layers of the bases by reference; None where no registry tells them.

    A rehearsal's base is in none.
    """
    wanted = list(dict.fromkeys(filter(None, map(base_reference, given))))

    def ask(reference: str) -> tuple[BaseLayer, ...] | None:
        try:
            return base_layers(reference, ca_bundle)
        except RocmImagesError as error:
            telling.step(
                f"note: what a node pulls that has {reference} is not known, as its registry does "
                f"not say what layers it has: {error}"
            )
            return None

    with Threads(AT_ONCE) as pool:
        return dict(zip(wanted, pool.map(ask, wanted), strict=True))


def base_reference(one: Target) -> str | None:
    """What the base of a target is called in its registry; None where it is in none."""
    base = one.contexts.get(one.cell.base_image, CONTEXT + one.cell.base_image)
    if labels.STAND_IN in one.labels or not base.startswith(CONTEXT):
        return None
    return base.removeprefix(CONTEXT)


def now() -> str:
    """As the catalogue writes times: ISO 8601, UTC."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
