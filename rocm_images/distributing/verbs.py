"""The verbs that take published images elsewhere: pull, mirror, bundle, and publish --from."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar

import click

from rocm_images import telling
from rocm_images.build.site import Site, engine_without_a_site
from rocm_images.cli.options import (
    choice_options,
    load,
    matrix_option,
    one_at_a_time,
    rehearse_option,
)
from rocm_images.cli.variables import only_one
from rocm_images.errors import InputError
from rocm_images.publishing.options import (
    channel_option,
    not_before_option,
    of_reference_options,
    trust_options,
    where_options,
)
from rocm_images.registry.address import RegistryAddress

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from rocm_images.distributing.channel_images import ChannelImage, Wanted
    from rocm_images.plan.selection import Choice
    from rocm_images.registry.place import Place, Who

Verb = TypeVar("Verb", bound=Callable[..., object])


@click.command()
@click.argument("image")
@of_reference_options
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
    from rocm_images.engine.network import ca_bundle_for
    from rocm_images.registry.place import place_of
    from rocm_images.registry.trust import trust_of
    from rocm_images.smoke.evidence import Level

    reference = Reference.parse(image)
    trust = trust_of(key, identity, issuer)
    ca_bundle = ca_bundle_for(ca_bundle, os.environ)
    engine = engine_without_a_site()
    where = (reference.name, reference.address, ca_bundle, attempts, engine.environment)
    asked = Asked(Level(evidence), _in_utc(not_before))
    verified, given = verify(place_of(*where), trust, reference, asked)
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


class _Asked(TypedDict):
    """Which published images are meant, and how they are verified."""

    matrix_path: Path
    choice: Choice
    registry: RegistryAddress | None
    ca_bundle: Path | None
    attempts: int
    channel: str
    key: str | None
    identity: str | None
    issuer: str | None
    not_before: datetime.datetime | None
    site: Site


def _published_options(verb: Verb) -> Verb:
    """Adds what `_Asked` holds."""
    for option in (
        rehearse_option,
        not_before_option,
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
    help="[http://]HOST[:PORT][/PATH] of the registry to copy to; --registry is where the images "
    "come from. (`rollback --to` names an image.)",
)
@one_at_a_time("publishing")
def mirror(to: RegistryAddress, **asked: Unpack[_Asked]) -> None:
    """Copy a channel's images to another registry, with signatures, evidence and the catalogue."""
    from rocm_images.catalogue.signed import bring, verified_in
    from rocm_images.distributing.arrive import Arrival, arrive
    from rocm_images.publishing.report import moves_table
    from rocm_images.registry.place import place_of

    source, wanted, images = _published("mirror", asked)
    trusted, attempts = asked["ca_bundle"], asked["attempts"]
    programs = source.cosign.environment
    place = place_of(source.repository.name, to, trusted, attempts, programs)
    catalogue = verified_in(source.repository, source.cosign, wanted.trust)
    arrivals = [
        Arrival(
            one,
            lambda there, one=one: source.cosign.copy(one.image.reference, to, there),  # type: ignore[misc]
        )
        for one in images
    ]
    done = arrive(place, wanted, arrivals, telling.step, tags_were_read=True)
    if catalogue is not None:
        bring(place.repository, catalogue[0], place.cosign, wanted.trust)
    of = telling.counted(len(arrivals), "image")
    click.echo(f"new in {to}: {len(done.new)} of {of}\n")
    click.echo(moves_table(done.planned))


@click.command()
@_published_options
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file to write.",
)
def bundle(output: Path, **asked: Unpack[_Asked]) -> None:
    """Write a channel's images, signatures and catalogue to one file: no network needed there."""
    from rocm_images.catalogue.signed import verified_in
    from rocm_images.distributing.bundle import write_bundle
    from rocm_images.tables import bytes_in_words

    if not output.resolve().parent.is_dir():
        raise InputError(f"--output: there is no folder {output.parent}: make it, or name another")
    source, wanted, images = _published("bundle", asked)
    catalogue = verified_in(source.repository, source.cosign, wanted.trust)
    listed = catalogue[0] if catalogue else None
    size = write_bundle(output, wanted.channel, images, source.cosign, listed, telling.step)
    click.echo(f"{output}: {telling.counted(len(images), 'image')}, {bytes_in_words(size)}")


def _published(verb: str, asked: _Asked) -> tuple[Place, Wanted, list[ChannelImage]]:
    from rocm_images.distributing.channel_images import Wanted, images_of_channel
    from rocm_images.plan.selection import repository_of
    from rocm_images.publishing.gate import channel_named
    from rocm_images.registry.place import place_of
    from rocm_images.registry.trust import trust_of

    matrix, cells = load(asked["matrix_path"])
    trust = trust_of(asked["key"], asked["identity"], asked["issuer"])
    channel, site = asked["channel"], asked["site"]
    channel_named(matrix, channel)
    chosen = only_one(asked["choice"], verb, tell=telling.step).of(matrix, cells)
    where = (asked["registry"], asked["ca_bundle"], asked["attempts"], site.programs())
    source = place_of(repository_of(chosen), *where)
    wanted = Wanted(trust, matrix, chosen, channel, _in_utc(asked["not_before"]))
    return source, wanted, images_of_channel(source, wanted, tag_suffix=site.tag_suffix)


def _in_utc(date: datetime.datetime | None) -> datetime.datetime | None:
    return date and date.replace(tzinfo=datetime.timezone.utc)


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
    channel: str | None = None,
    not_before: datetime.datetime | None = None,
    dry_run: bool = False,
) -> None:
    """Load what `bundle` wrote into a registry, and move its rolling tags there.

    `channel` is the one that was asked for, None where any will do. With `dry_run` it is said
    which tags would move, and nothing is put.
    """
    from rocm_images.catalogue.owner import check_owner
    from rocm_images.catalogue.signed import TAG, as_in, bring, verified_in, write_files
    from rocm_images.distributing.arrive import Arrival, arrive
    from rocm_images.distributing.bundle import check_is_file, opened
    from rocm_images.distributing.channel_images import Wanted
    from rocm_images.plan.selection import repository_of
    from rocm_images.publishing.report import moves_table
    from rocm_images.registry.place import place_of
    from rocm_images.registry.published import image_at
    from rocm_images.registry.trust import trust_of

    matrix, cells = load(matrix_path)
    trust = trust_of(who.key, who.identity, who.issuer)
    check_is_file(path)
    repository = repository_of(choice.of(matrix, cells))
    place = place_of(repository, registry, ca_bundle, attempts, site.programs())
    with opened(path) as found:
        if channel not in (None, found.channel):
            raise InputError(
                f"--from: {path} is of the channel {telling.quoted(found.channel)}, and --channel "
                f"{channel} is asked for: leave it out, or take another file"
            )
        wanted = Wanted(trust, matrix, cells, found.channel, _in_utc(not_before))
        arrivals = []
        for one in found.images:
            image = image_at(found, one.digest)
            if image is None:
                raise InputError(f"--from: {path} lacks the image {one.digest}: write it again")
            layout = found.layout_of(one)
            arrivals.append(
                Arrival(
                    wanted.look(place.cosign, image, layout=layout),
                    lambda there, layout=layout: place.cosign.load(layout, there),  # type: ignore[misc]
                )
            )
        catalogue = found.catalogue()
        if catalogue is not None:
            name = f"{path}'s {TAG}"
            check_owner(repository, catalogue.verified(place.cosign, trust, name), name)
        done = arrive(place, wanted, arrivals, telling.step, tags_were_read=False, dry_run=dry_run)
    of = telling.counted(len(arrivals), "image")
    click.echo(f"new in {place.address}: {len(done.new)} of {of}\n")
    click.echo(moves_table(done.planned))
    if catalogue is None or dry_run:
        return
    bring(place.repository, catalogue, place.cosign, trust)
    # The registry may have kept a newer one.
    kept = verified_in(place.repository, place.cosign, trust)
    if kept is not None:
        page = write_files(output, kept[0], as_in(place.repository, kept[1]))
        telling.written(f"\nthe catalogue: {os.path.relpath(page)}")
