"""The verbs that take published images elsewhere: pull, mirror, bundle, and publish --from."""

from __future__ import annotations

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
    retries_option,
    trust_options,
    where_options,
)
from rocm_images.registry.address import RegistryAddress

if TYPE_CHECKING:
    from rocm_images.distributing.verified import VerifiedImage
    from rocm_images.plan.selection import Choice
    from rocm_images.publishing.target import Target
    from rocm_images.registry.cosign import Trust

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
def pull(
    image: str,
    key: str | None,
    identity: str | None,
    issuer: str | None,
    ca_bundle: Path | None,
    attempts: int,
    evidence: str,
) -> None:
    """Pull IMAGE (HOST/NAME:TAG or @sha256:...) once its signature and evidence are verified."""
    from rocm_images.distributing.pull import Reference, pull_verified, verify
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
    verified = verify(repository, cosign, trust, reference, Level(evidence))
    found = verified.evidence
    telling.step(f"verified: signed by {trust.words}; {found.level} evidence of {found.date}")
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
    """Copy a channel's images to another registry, with signatures and evidence."""
    from rocm_images.distributing.arrive import Arrival, arrive
    from rocm_images.publishing.catalogued import catalogue_in, moved_to, record
    from rocm_images.publishing.report import moves_table
    from rocm_images.publishing.target import target_of

    source, trust, images = _published(**options)
    trusted, attempts = options["ca_bundle"], options["attempts"]
    programs = source.cosign.environment
    target = target_of(source.repository.name, to, trusted, attempts, programs)
    arrivals = [
        Arrival(
            one.image,
            one.immutable,
            one.rolling,
            lambda there, one=one: source.cosign.copy(one.image.reference, to, there),  # type: ignore[misc]
        )
        for one in images
    ]
    done = arrive(target, trust, arrivals, telling.step)
    click.echo(f"{len(done.new)} of {len(arrivals)} images were new in {to}\n")
    click.echo(moves_table(done.planned))
    digests = frozenset(one.image.digest for one in images)
    there = moved_to(
        catalogue_in(source.repository), target.repository, digests, options["channel"]
    )
    if there:
        record(target.repository, there)


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
    from rocm_images.catalogue.merge import merged
    from rocm_images.distributing.bundle import write_bundle
    from rocm_images.publishing.catalogued import catalogue_in, moved_to

    channel = options["channel"]
    source, _, images = _published(**options)
    catalogue = catalogue_in(source.repository)
    if catalogue is not None:
        digests = frozenset(one.image.digest for one in images)
        entries = moved_to(catalogue, source.repository, digests, channel)
        catalogue = merged(None, entries, catalogue.updated)
    size = write_bundle(output, channel, images, source.cosign, catalogue, telling.step)
    click.echo(f"{output}: {len(images)} images, {size / 1e6:.0f} MB")


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
) -> tuple[Target, Trust, list[VerifiedImage]]:
    from rocm_images.distributing.verified import verified_images
    from rocm_images.plan.selection import repository_of
    from rocm_images.publishing.target import target_of
    from rocm_images.registry.cosign import trust_of

    matrix, cells = load(matrix_path)
    trust = trust_of(key, identity, issuer)
    chosen = choice.of(matrix, cells)
    source = target_of(repository_of(chosen), registry, ca_bundle, attempts, site.programs())
    images = verified_images(source, trust, matrix, chosen, channel, tag_suffix=site.tag_suffix)
    return source, trust, images


def publish_bundle(
    path: Path,
    *,
    matrix_path: Path,
    choice: Choice,
    registry: RegistryAddress | None,
    ca_bundle: Path | None,
    attempts: int,
    key: str | None,
    identity: str | None,
    issuer: str | None,
    site: Site,
    output: Path,
) -> None:
    """Load what `bundle` wrote into a registry, and move its rolling tags there."""
    from rocm_images.distributing.arrive import Arrival, arrive
    from rocm_images.distributing.bundle import opened
    from rocm_images.errors import InputError
    from rocm_images.plan.selection import repository_of
    from rocm_images.publishing.catalogued import moved_to, record, write_files
    from rocm_images.publishing.report import moves_table
    from rocm_images.publishing.target import target_of
    from rocm_images.registry.cosign import trust_of
    from rocm_images.registry.published import image_at

    matrix, cells = load(matrix_path)
    trust = trust_of(key, identity, issuer)
    repository = repository_of(choice.of(matrix, cells))
    target = target_of(repository, registry, ca_bundle, attempts, site.programs())
    with opened(path) as found:
        arrivals = []
        for one in found.images:
            image = image_at(found, one.digest)
            if image is None:
                raise InputError(f"--from: {path} lacks the image {one.immutable}: write it again")
            layout = found.layout_of(one)
            target.cosign.verify(str(layout), trust, local=True)
            arrivals.append(
                Arrival(
                    image,
                    one.immutable,
                    one.rolling,
                    lambda there, layout=layout: target.cosign.load(layout, there),  # type: ignore[misc]
                )
            )
        done = arrive(target, trust, arrivals, telling.step)
        digests = frozenset(one.digest for one in found.images)
        there = moved_to(found.catalogue(), target.repository, digests, found.channel)
    click.echo(f"{len(done.new)} of {len(arrivals)} images were new in {target.address}\n")
    click.echo(moves_table(done.planned))
    if there:
        page = write_files(output, record(target.repository, there))
        telling.written(f"\nthe catalogue: {os.path.relpath(page)}")
