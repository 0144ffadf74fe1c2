"""The verbs that take published images elsewhere: pull, mirror, bundle, and publish --from."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rocm_images import telling
from rocm_images.build.site import Site
from rocm_images.cli.options import (
    ca_bundle_option,
    choice_options,
    load,
    matrix_option,
    one_at_a_time,
    rehearse_option,
)
from rocm_images.publishing.options import (
    channel_option,
    not_before_option,
    retries_option,
    trust_options,
    where_options,
)
from rocm_images.registry.address import RegistryAddress

if TYPE_CHECKING:
    from rocm_images.catalogue.signed import Signed
    from rocm_images.distributing.channel_images import ChannelImage
    from rocm_images.plan.selection import Choice
    from rocm_images.registry.cosign import Trust
    from rocm_images.registry.place import Place, Who

Verb = TypeVar("Verb", bound=Callable[..., Any])


@click.command()
@click.argument("image")
@trust_options
@ca_bundle_option
@retries_option
@click.option(
    "--evidence",
    type=click.Choice(["static", "stand-in", "emulated", "gpu", "serve"]),
    default="static",
    show_default=True,
    help="Refuse an image that was tested on less.",
)
@not_before_option
def pull(
    image: str,
    key: str | None,
    identity: str | None,
    issuer: str | None,
    ca_bundle: Path | None,
    attempts: int,
    evidence: str,
    not_before: datetime.datetime | None,
) -> None:
    """Pull IMAGE (HOST/NAME:TAG or @sha256:...) once its signature and evidence are verified."""
    from rocm_images.distributing.pull import Asked, Reference, pull_verified, verify
    from rocm_images.engine.connect import connect
    from rocm_images.engine.network import ca_bundle_for
    from rocm_images.registry.client import Repository, Retries
    from rocm_images.registry.cosign import Cosign, trust_of
    from rocm_images.smoke.evidence import Level

    reference = Reference.parse(image)
    trust = trust_of(key, identity, issuer)
    trusted = ca_bundle_for(ca_bundle, os.environ)
    engine = connect()
    repository = Repository(reference.address, reference.name, trusted, Retries(attempts))
    cosign = Cosign(reference.address, engine.environment, trusted)
    earliest = not_before and not_before.replace(tzinfo=datetime.timezone.utc)
    asked = Asked(Level(evidence), earliest)
    verified, given = verify(repository, cosign, trust, reference, asked)
    found, release = verified.evidence, verified.release
    if given:
        said = f"; it got that tag on {given.date.isoformat()}"
    elif release and release.latest:
        said = f"; it got a rolling tag last on {release.latest.isoformat()}"
    else:
        said = "; it was never published"
    tested = f"{found.level} evidence of {found.date}"
    telling.step(f"verified: signed by {trust.words}; {tested}{said}")
    if not found.as_deployed:
        telling.step("note: it was tested in a container with other rights than deployments have")
    pull_verified(engine, verified, reference)
    click.echo(verified.image.reference)


def _published_options(verb: Verb) -> Verb:
    """Adds which published images are meant, and how they are verified."""
    for option in (
        rehearse_option,
        trust_options,
        channel_option,
        where_options,
        choice_options,
        matrix_option,
    ):
        verb = option(verb)
    return verb


@click.command()
@_published_options
@click.option(
    "--to",
    "to",
    required=True,
    callback=lambda context, option, text: RegistryAddress.parse(text),
    metavar="ADDRESS",
    help="The registry to copy to.",
)
@one_at_a_time("publishing")
def mirror(to: RegistryAddress, **options: Any) -> None:
    """Copy a channel's images to another registry, with signatures, evidence and the catalogue."""
    from rocm_images.catalogue.signed import bring
    from rocm_images.distributing.arrive import Arrival, arrive
    from rocm_images.publishing.report import moves_table
    from rocm_images.registry.place import place_of

    source, trust, images = _published(**options)
    trusted, attempts = options["ca_bundle"], options["attempts"]
    programs = source.cosign.environment
    place = place_of(source.repository.name, to, trusted, attempts, programs)
    catalogue = _verified_catalogue(source, trust)
    arrivals = [
        Arrival(
            one,
            lambda there, one=one: source.cosign.copy(one.image.reference, to, there),  # type: ignore[misc]
        )
        for one in images
    ]
    done = arrive(place, trust, arrivals, telling.step)
    if catalogue is not None:
        bring(place.repository, catalogue, place.cosign, trust)
    click.echo(f"{len(done.new)} of {len(arrivals)} images were new in {to}\n")
    click.echo(moves_table(done.planned))


@click.command()
@_published_options
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file to write.",
)
def bundle(output: Path, **options: Any) -> None:
    """Write a channel's images, signatures and catalogue to one file: no network needed there."""
    from rocm_images.distributing.bundle import write_bundle

    source, trust, images = _published(**options)
    catalogue = _verified_catalogue(source, trust)
    channel = options["channel"]
    size = write_bundle(output, channel, images, source.cosign, catalogue, telling.step)
    click.echo(f"{output}: {len(images)} images, {size / 1e6:.0f} MB")


def _verified_catalogue(source: Place, trust: Trust) -> Signed | None:
    """The catalogue of a repository as its publisher signed it, where it has one.

    Raises:
        VerificationFailed: it is not signed by those who are trusted.
    """
    from rocm_images.catalogue.signed import TAG, signed_in

    found = signed_in(source.repository)
    if found is not None:
        found.verified(source.cosign, trust, source.repository.reference(TAG))
    return found


def _published(
    *,
    matrix_path: Path,
    choice: Choice,
    registry: RegistryAddress | None,
    ca_bundle: Path | None,
    attempts: int,
    channel: str,
    key: str | None,
    identity: str | None,
    issuer: str | None,
    site: Site,
) -> tuple[Place, Trust, list[ChannelImage]]:
    from rocm_images.distributing.channel_images import images_of_channel
    from rocm_images.plan.selection import repository_of
    from rocm_images.registry.cosign import trust_of
    from rocm_images.registry.place import place_of

    matrix, cells = load(matrix_path)
    trust = trust_of(key, identity, issuer)
    chosen = choice.of(matrix, cells)
    source = place_of(repository_of(chosen), registry, ca_bundle, attempts, site.programs())
    images = images_of_channel(source, trust, matrix, chosen, channel, tag_suffix=site.tag_suffix)
    return source, trust, images


def publish_bundle(
    path: Path,
    *,
    matrix_path: Path,
    choice: Choice,
    registry: RegistryAddress | None,
    ca_bundle: Path | None,
    attempts: int,
    who: Who,
    site: Site,
    output: Path,
) -> None:
    """Load what `bundle` wrote into a registry, and move its rolling tags there."""
    from rocm_images.catalogue.signed import TAG, as_in, bring, write_files
    from rocm_images.distributing.arrive import Arrival, arrive
    from rocm_images.distributing.bundle import opened
    from rocm_images.distributing.channel_images import channel_image
    from rocm_images.errors import InputError
    from rocm_images.plan.selection import repository_of
    from rocm_images.publishing.report import moves_table
    from rocm_images.registry.cosign import trust_of
    from rocm_images.registry.place import place_of
    from rocm_images.registry.published import image_at

    matrix, cells = load(matrix_path)
    trust = trust_of(who.key, who.identity, who.issuer)
    repository = repository_of(choice.of(matrix, cells))
    place = place_of(repository, registry, ca_bundle, attempts, site.programs())
    with opened(path) as found:
        arrivals = []
        for one in found.images:
            image = image_at(found, one.digest)
            if image is None:
                raise InputError(f"--from: {path} lacks the image {one.digest}: write it again")
            layout = found.layout_of(one)
            what = channel_image(
                place.cosign, trust, matrix, cells, image, found.channel, layout=layout
            )
            arrivals.append(
                Arrival(
                    what,
                    lambda there, layout=layout: place.cosign.load(layout, there),  # type: ignore[misc]
                )
            )
        catalogue = found.catalogue()
        listed = catalogue.verified(place.cosign, trust, f"{path}'s {TAG}") if catalogue else None
        done = arrive(place, trust, arrivals, telling.step)
    click.echo(f"{len(done.new)} of {len(arrivals)} images were new in {place.address}\n")
    click.echo(moves_table(done.planned))
    if catalogue is not None and listed is not None:
        bring(place.repository, catalogue, place.cosign, trust)
        page = write_files(output, catalogue, as_in(place.repository, listed))
        telling.written(f"\nthe catalogue: {os.path.relpath(page)}")
