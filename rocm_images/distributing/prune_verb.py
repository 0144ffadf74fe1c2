"""The verb that drops from a registry what nothing names any more: prune."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rocm_images import telling
from rocm_images.build.site import Site
from rocm_images.cli.options import (
    load,
    matrix_option,
    one_at_a_time,
    rehearse_option,
    server_option,
)
from rocm_images.errors import InputError
from rocm_images.publishing.options import (
    last_published_option,
    signing_options,
    where_options,
)
from rocm_images.registry.address import RegistryAddress

if TYPE_CHECKING:
    from rocm_images.registry.place import Who

_origin_option = click.option(
    "--origin",
    callback=lambda context, option, text: RegistryAddress.parse(text) if text else None,
    metavar="ADDRESS",
    help="The registry that this one is a mirror of, by its publisher's name of it: that one's "
    "catalogue counts then. Without, only this registry's own does.",
)


@click.command()
@matrix_option
@server_option
@where_options
@signing_options
@click.option(
    "--older-than",
    type=click.IntRange(0, 36500),
    default=90,
    show_default=True,
    metavar="DAYS",
    help="Drop only what is older, by what is signed of it.",
)
@click.option(
    "--keep-history",
    type=click.IntRange(1, 10000),
    metavar="N",
    help="Of replaced images keep the newest N of each cell and version, for `rollback`.  "
    "[default: all]",
)
@click.option(
    "--orphans", is_flag=True, help="Also signatures and statements about images that are gone."
)
@last_published_option
@_origin_option
@click.option("--yes", is_flag=True, help="Drop it. Without, what would be dropped is listed.")
@click.option("--json", "as_json", is_flag=True, help="List it as JSON.")
@rehearse_option
@one_at_a_time("publishing")
def prune(
    matrix_path: Path,
    servers: tuple[str, ...],
    registry: RegistryAddress | None,
    ca_bundle: Path | None,
    attempts: int,
    older_than: int,
    keep_history: int | None,
    orphans: bool,
    not_before: datetime.datetime | None,
    origin: RegistryAddress | None,
    yes: bool,
    as_json: bool,
    site: Site,
    who: Who,
) -> None:
    """List which images a registry may drop, and drop them with --yes.

    Those that nothing names: no rolling or other tag, and not the signed catalogue. What may go is
    decided by what is signed alone; without a catalogue that verifies nothing is dropped.
    """
    import json
    import tempfile

    from rocm_images.distributing.dropping import drop_all
    from rocm_images.distributing.prunable import Ages
    from rocm_images.distributing.prune import looked
    from rocm_images.distributing.prune_report import document, report
    from rocm_images.plan.selection import Choice, by_repository
    from rocm_images.publishing.catalogued import Keeper
    from rocm_images.registry.place import place_of

    if yes and not_before is None:
        raise InputError(
            "--yes: say with --not-before when you last published: somebody who can push could "
            "put an older catalogue back, which does not know what has to stay"
        )
    matrix, cells = load(matrix_path)
    signer = who.signer
    if origin and signer:
        raise InputError(
            "--origin: at a mirror the catalogue stays as its origin signed it, and nothing is "
            "signed: name the public key with --key"
        )
    who.check()
    names = by_repository(Choice(servers).of(matrix, cells), lambda cell: cell)
    where = (registry, ca_bundle, attempts, site.programs())
    places = [place_of(name, *where) for name in names]
    earliest = not_before and not_before.replace(tzinfo=datetime.timezone.utc)
    now = datetime.datetime.now(datetime.timezone.utc)
    ages = Ages(now, datetime.timedelta(days=older_than), keep_history)
    with tempfile.TemporaryDirectory() as folder:
        trust = who.trust(places[0].cosign, Path(folder))
        # All are looked at before anything is dropped.
        every = [
            looked(one.repository, one.cosign, trust, ages, earliest, telling.step, origin=origin)
            for one in places
        ]
        if as_json:
            click.echo(json.dumps(document(every, ages), indent=2))
        else:
            click.echo("\n\n".join(report(one, ages) for one in every))
        if not yes:
            return
        for place, one in zip(places, every, strict=True):
            keeper = signer and Keeper(place.repository, place.cosign, trust, signer)
            drop_all(one, keeper or None, telling.step, with_orphans=orphans)
