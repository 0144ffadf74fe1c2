"""The verb `catalogue`: renders the page, and prints the schema."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from rocm_images import telling
from rocm_images.catalogue.listed import CATALOGUE, Listed, unverified_option
from rocm_images.cli.options import load, matrix_option, server_option
from rocm_images.errors import InputError
from rocm_images.publishing.options import trust_options, where_options
from rocm_images.registry.address import RegistryAddress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rocm_images.registry.place import Place
    from rocm_images.registry.trust import Trust


@click.command()
@click.option(
    "--from",
    "catalogue_path",
    type=click.Path(path_type=Path),
    default=CATALOGUE,
    show_default="build/catalogue.json beside build.py",
    metavar="FILE",
    help="Render this catalogue.json. (`publish --from` takes what `bundle` wrote.)",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder that gets catalogue.html.  [default: that of the catalogue]",
)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of catalogue.json instead.")
@where_options
@trust_options
@unverified_option
@matrix_option
@server_option
def catalogue(
    catalogue_path: Path,
    output: Path | None,
    schema: bool,
    registry: RegistryAddress | None,
    ca_bundle: Path | None,
    attempts: int,
    key: str | None,
    identity: str | None,
    issuer: str | None,
    unverified: bool,
    matrix_path: Path,
    servers: tuple[str, ...],
) -> None:
    """Render catalogue.html, the page to choose an image on, from catalogue.json.

    With --registry, fetch catalogue.json from there first, once its signature is verified; with
    --server all the lists of all servers, as one. So is that of a file that --from names, unless it
    is build/catalogue.json.
    """
    if schema:
        if output:
            raise InputError("--schema prints: leave out --output")
        click.echo(schema_text(), nl=False)
        return
    source = click.get_current_context().get_parameter_source("catalogue_path")
    # A file that was named outweighs a registry that is only in the environment.
    if registry and source is ParameterSource.DEFAULT:
        from rocm_images.plan.selection import Choice, by_repository
        from rocm_images.registry.place import place_of
        from rocm_images.registry.trust import trust_of

        matrix, cells = load(matrix_path)
        chosen = Choice(servers).of(matrix, cells)
        trust = trust_of(key, identity, issuer)
        there = {
            of_one[0].server.name: place_of(name, registry, ca_bundle, attempts, os.environ)
            for name, of_one in by_repository(chosen, lambda cell: cell).items()
        }
        telling.written(f"wrote {os.path.relpath(_fetch(there, trust, output))}")
        return
    listed = Listed(catalogue_path, (key, identity, issuer), unverified)
    path = _render(listed, output or catalogue_path.parent)
    telling.written(f"wrote {os.path.relpath(path)}")


def _render(listed: Listed, folder: Path) -> Path:
    """Render a catalogue, with the list that the page shows beside it; returns the page's path.

    Raises:
        InputError: nobody verified it, and the folder is that of what somebody did.
    """
    from rocm_images.catalogue.bills import beside
    from rocm_images.catalogue.file import content_of, parse
    from rocm_images.catalogue.page import page
    from rocm_images.catalogue.signed import FILE, SIGNATURE
    from rocm_images.files import write_whole
    from rocm_images.registry.trust import trust_of

    source = listed.path or CATALOGUE
    signature = source.with_name(SIGNATURE)
    if listed.is_ours or listed.unverified:
        if not listed.is_ours and folder.resolve() == CATALOGUE.parent.resolve():
            raise InputError(
                f"{os.path.relpath(folder)} has what was verified, which `pick` goes by: name "
                "another folder with --output for what nobody verified"
            )
        content = content_of(source)
        signed = content_of(signature) if signature.exists() else None
        said = parse(content, str(source))
    else:
        found, said = listed.verified(source)
        content, signed = found.content, found.signature
    path = folder / "catalogue.html"
    # Named to verify a file, or for the page of the list that this folder has.
    trust = trust_of(*listed.who) if any(listed.who) else None
    bills = beside(folder, (image.digest for image in said.images))
    write_whole(path, page(said, trust, bills=bills))
    if folder.resolve() != source.parent.resolve():
        # Who reads the page can take the list that it shows, and verify it.
        write_whole(folder / FILE, content.decode())
        if signed is not None:
            write_whole(folder / SIGNATURE, signed.decode())
        else:
            # One that was there is of another list.
            (folder / SIGNATURE).unlink(missing_ok=True)
    return path


def _fetch(places: Mapping[str, Place], trust: Trust, output: Path | None) -> Path:
    """Fetch the catalogues that a registry has and render them; returns the path of the page.

    Args:
        places: the repository of each server, by the server's name.
        trust: whose signatures count.
        output: the folder to write to; None for build/.
    """
    from rocm_images.catalogue.signed import as_in, verified_in, write_verified

    found, without = [], []
    for server, there in places.items():
        known = verified_in(there.repository, there.cosign, trust, server)
        if known is None:
            without.append(f"{there.repository} has no catalogue: nothing was published there")
            continue
        signed, said = known
        telling.step(f"verified: signed by {trust.words}; of {said.updated}")
        found.append((signed, as_in(there.repository, said)))
    if not found:
        raise InputError("; ".join(without))
    for sentence in without:
        telling.step(f"note: {sentence}")
    return write_verified(output or CATALOGUE.parent, found, trust)


def schema_text() -> str:
    """docs/catalogue.schema.json."""
    import json

    from rocm_images.catalogue.schema import json_schema

    return json.dumps(json_schema(), indent=2) + "\n"
