"""The verbs that write to a registry: push, publish and rollback."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rocm_images import telling
from rocm_images.build.site import Site
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
from rocm_images.places import STATE
from rocm_images.publishing.options import (
    channel_option,
    output_option,
    signing_options,
    trust_options,
    where_options,
)
from rocm_images.registry.address import RegistryAddress

if TYPE_CHECKING:
    from rocm_images.plan.selection import Choice

EVIDENCE = STATE / "evidence"
Verb = TypeVar("Verb", bound=Callable[..., Any])


@dataclass(frozen=True)
class Request:
    """What was typed after `publish` or `push`: see their options."""

    matrix_path: Path
    choice: Choice
    registry: RegistryAddress | None
    ca_bundle: Path | None
    attempts: int
    channel: str
    key: str | None
    keyless: bool
    identity: str | None
    issuer: str | None
    contexts: tuple[str, ...]
    build_args: tuple[str, ...]
    dry_run: bool
    site: Site
    output: Path = STATE


def _request_options(verb: Verb) -> Verb:
    """Adds the options of Request."""
    for option in (
        rehearse_option,
        click.option("--dry-run", is_flag=True, help="Print what would happen, and do nothing."),
        build_arg_option,
        context_option,
        signing_options,
        channel_option,
        where_options,
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
    help="Publish what `bundle` wrote, with its signatures; --key is then the public key.",
)
@output_option
@one_at_a_time("publishing")
def publish(bundle: Path | None, **options: Any) -> None:
    """Publish what was tested, all cells or none: push, read back, sign, then move the tags."""
    if bundle is not None:
        from rocm_images.distributing.verbs import publish_bundle

        trust = ("key", "identity", "issuer")
        where = ("matrix_path", "choice", "registry", "ca_bundle", "attempts")
        asked = (*where, *trust, "site", "output")
        publish_bundle(bundle, **{name: options[name] for name in asked})
        return
    _run(Request(**options), move_tags=True)


@click.command()
@_request_options
@one_at_a_time("publishing")
def push(**options: Any) -> None:
    """Put tested images and their evidence into the registry, for a later `publish` elsewhere.

    As `publish`, but no rolling tag moves: several machines push, and one publishes.
    """
    _run(Request(**options), move_tags=False)


def _run(request: Request, *, move_tags: bool) -> None:
    from rocm_images.build.progress import PlainLines
    from rocm_images.build.targets import targets_of, with_found
    from rocm_images.plan.selection import repository_of
    from rocm_images.publishing import report
    from rocm_images.publishing.candidates import Rules
    from rocm_images.publishing.catalogued import entries_of, record, write_files
    from rocm_images.publishing.gate import channel_named
    from rocm_images.publishing.target import identity_trust, signer_of, target_of
    from rocm_images.publishing.transaction import Transaction, own_trust

    matrix, cells = load(request.matrix_path)
    chosen = request.choice.of(matrix, cells)
    channel = channel_named(matrix, request.channel)
    signer = signer_of(request.key, keyless=request.keyless)
    trust = identity_trust(request.identity, request.issuer)
    engine = request.site.found_engine()
    targets = targets_of(
        request.site,
        request.matrix_path,
        matrix,
        chosen,
        contexts=request.contexts,
        build_args=request.build_args,
    )
    if engine:
        targets = with_found(engine, targets)
    environment = engine.environment if engine else request.site.programs()
    target = target_of(
        repository_of(chosen), request.registry, request.ca_bundle, request.attempts, environment
    )
    with tempfile.TemporaryDirectory() as folder:
        rules = own_trust(
            Rules(target.repository, request.channel, channel, EVIDENCE, target.cosign, trust),
            signer,
            Path(folder),
        )
        transaction = Transaction(rules, engine, signer, PlainLines())
        found = transaction.check(targets)
        if request.dry_run:
            planned = transaction.plan(found) if move_tags else []
            click.echo(report.dry_run(found, planned))
            return
        publication = transaction.run(found, move_tags=move_tags)
    click.echo(report.publication_table(publication))
    if not move_tags:
        return
    click.echo(f"\n{report.moves_table(publication.planned)}")
    entries = entries_of(target.repository, request.channel, publication.cells)
    page = write_files(request.output, record(target.repository, entries))
    telling.written(f"\nthe catalogue: {os.path.relpath(page)}")


@click.command()
@matrix_option
@server_option
@where_options
@channel_option
@trust_options
@click.option(
    "--to",
    "immutable_tags",
    multiple=True,
    required=True,
    metavar="IMMUTABLE_TAG",
    help="The image that its rolling tags are to go back to; may be repeated.",
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
    key: str | None,
    identity: str | None,
    issuer: str | None,
    immutable_tags: tuple[str, ...],
    dry_run: bool,
    site: Site,
    output: Path,
) -> None:
    """Move the rolling tags of images back to earlier ones, once those are verified."""
    from rocm_images.plan.selection import Choice, repository_of
    from rocm_images.publishing import report
    from rocm_images.publishing.catalogued import put_back, write_files
    from rocm_images.publishing.rollback import roll_back
    from rocm_images.publishing.rolling_tags import move_all
    from rocm_images.publishing.target import target_of
    from rocm_images.registry.cosign import trust_of

    matrix, cells = load(matrix_path)
    trust = trust_of(key, identity, issuer)
    repository = repository_of(Choice(servers).of(matrix, cells))
    target = target_of(repository, registry, ca_bundle, attempts, site.programs())
    planned = roll_back(target, trust, matrix, cells, channel, immutable_tags)
    if dry_run:
        click.echo(report.moves_table(planned))
        return
    move_all(target.repository, planned)
    click.echo(report.moves_table(planned))
    catalogue = put_back(target.repository, immutable_tags, channel)
    if catalogue:
        page = write_files(output, catalogue)
        telling.written(f"\nthe catalogue: {os.path.relpath(page)}")
