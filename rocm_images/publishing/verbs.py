"""The verbs that write to a registry: push, publish and rollback."""

from __future__ import annotations

import datetime
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rocm_images import telling
from rocm_images.build.site import Site
from rocm_images.cli.group import typed
from rocm_images.cli.layers_asked import layers_options
from rocm_images.cli.options import (
    build_arg_option,
    choice_options,
    context_option,
    load,
    matrix_option,
    one_at_a_time,
    rehearse_option,
    server_option,
)
from rocm_images.cli.variables import only_one
from rocm_images.errors import InputError
from rocm_images.publishing.options import (
    channel_option,
    not_before_of_bundle_option,
    output_option,
    signing_options,
    where_options,
    wherever_options,
)
from rocm_images.registry.address import RegistryAddress

if TYPE_CHECKING:
    from rocm_images.registry.place import Who

Verb = TypeVar("Verb", bound=Callable[..., Any])


def _request_options(verb: Verb) -> Verb:
    """Adds the options of Request."""
    for option in (
        rehearse_option,
        click.option(
            "--dry-run",
            is_flag=True,
            help="Print what would happen, and send, sign and move nothing.",
        ),
        layers_options,
        build_arg_option,
        context_option,
        signing_options,
        channel_option,
        wherever_options,
        choice_options,
        matrix_option,
    ):
        verb = option(verb)
    return verb


@click.command()
@_request_options
@click.option(
    "--from",
    "bundle",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Publish what `bundle` wrote to this file, with its signatures; nothing is signed. "
    "(`catalogue --from` takes a catalogue.json.)",
)
@click.option(
    "--mend-catalogue",
    is_flag=True,
    help="Go on where the catalogue there is gone, older than the tags, or not ours: with what of "
    "it verifies, else anew.",
)
@not_before_of_bundle_option
@click.option("--json", "as_json", is_flag=True, help="Print one object for machines.")
@output_option
@one_at_a_time("publishing")
def publish(
    bundle: Path | None, not_before: datetime.datetime | None, who: Who, **options: Any
) -> None:
    """Publish what was tested, all cells or none: push, read back, sign, then move the tags.

    Each inference server has a repository of its own. With several, or several registries, all are
    checked before the first is published, and of each all cells are published or none.
    """
    if bundle is not None:
        from rocm_images.distributing.verbs import publish_bundle

        _only_with_images()
        names = ("matrix_path", "choice", "ca_bundle", "attempts", "site", "output", "dry_run")
        asked = {name: options[name] for name in names}
        asked["choice"] = only_one(options["choice"], "publish --from", tell=telling.step)
        if len(options["registries"]) > 1 and typed("registries"):
            raise InputError(
                "--from takes one --registry: publish the bundle to one after the other"
            )
        asked["registry"] = next(iter(options["registries"]), None)
        channel = options["channel"] if typed("channel") else None
        publish_bundle(bundle, who=who, channel=channel, not_before=not_before, **asked)
        return
    if not_before:
        raise InputError("--not-before: is for a bundle; name one with --from")
    from rocm_images.publishing.run import Request, run

    run(Request(who=who, **options), move_tags=True)


@click.command()
@_request_options
@one_at_a_time("publishing")
def push(**options: Any) -> None:
    """Put tested images and their evidence into the registry, for a later `publish` elsewhere.

    As `publish`, but no rolling tag moves: several machines push, and one publishes.
    """
    from rocm_images.publishing.run import Request, run

    run(Request(**options), move_tags=False)


def _only_with_images() -> None:
    """Refuses options that mean nothing to a bundle.

    Raises:
        InputError: one was given.
    """
    for option in typed(
        *("compression", "recompress_base", "contexts", "build_args", "mend_catalogue"),
        "as_json",
        *("sign_key", "keyless"),
    ):
        raise InputError(f"{option} means nothing to a bundle: leave it out with --from")


@click.command()
@matrix_option
@server_option
@where_options
@channel_option
@signing_options
@click.option(
    "--to",
    "immutable_tags",
    multiple=True,
    required=True,
    metavar="IMMUTABLE_TAG",
    help="The image in --registry that its rolling tags are to go back to, by the tag that never "
    "moves; may be repeated. (`mirror --to` names a registry.)",
)
@click.option("--dry-run", is_flag=True, help="Print what would happen, and do nothing.")
@rehearse_option
@output_option
@one_at_a_time("publishing")
def rollback(
    matrix_path: Path,
    servers: tuple[str, ...],
    registry: RegistryAddress | None,
    ca_bundle: Path | None,
    attempts: int,
    channel: str,
    who: Who,
    immutable_tags: tuple[str, ...],
    dry_run: bool,
    site: Site,
    output: Path,
) -> None:
    """Move the rolling tags of images back to earlier ones, once those are verified.

    With --sign-key, the catalogue goes back as well, and the date of the move is signed; with
    --key alone, as at a mirror, only the tags move.
    """
    from rocm_images.catalogue.signed import write_files
    from rocm_images.plan.selection import Choice, repository_of
    from rocm_images.publishing import report
    from rocm_images.publishing.catalogued import Keeper, known_in
    from rocm_images.publishing.gate import channel_named
    from rocm_images.publishing.rollback import images_to_go_back_to, release_anew
    from rocm_images.publishing.rolling_tags import move_all
    from rocm_images.registry.place import place_of

    matrix, cells = load(matrix_path)
    signer = who.signer
    who.check()
    channel_named(matrix, channel)
    chosen = only_one(Choice(servers), "rollback", tell=telling.step).of(matrix, cells)
    repository = repository_of(chosen)
    place = place_of(repository, registry, ca_bundle, attempts, site.programs())
    with tempfile.TemporaryDirectory() as folder:
        trust = who.trust(place.cosign, Path(folder))
        back, planned = images_to_go_back_to(
            place, trust, matrix, cells, channel, immutable_tags, signs=signer is not None
        )
        if dry_run:
            click.echo(report.moves_table(planned))
            return
        if signer is None:
            move_all(place.repository, planned)
            click.echo(report.moves_table(planned))
            telling.step(
                "note: the catalogue stays as it is: only the holder of the private key can sign it"
            )
            return
        server = chosen[0].server.name
        keeper = Keeper(place.repository, place.cosign, trust, signer, server, mend=True)
        listed = keeper.check()
        release_anew(place.cosign, trust, signer, channel, back, planned)
        move_all(place.repository, planned)
        click.echo(report.moves_table(planned))
        unknown = {*immutable_tags} - known_in(listed, channel)
        for tag in sorted(unknown):
            telling.step(f"note: the catalogue does not know {tag}, and lists what it listed")
        catalogue = keeper.put_back(immutable_tags, channel)
        if catalogue:
            page = write_files(output, catalogue, trust=trust)
            telling.written(f"\nthe catalogue: {os.path.relpath(page)}")
