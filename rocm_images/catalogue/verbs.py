"""The verb `catalogue`: renders the page, and prints the schema."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from rocm_images import telling
from rocm_images.cli.options import load, matrix_option, server_option
from rocm_images.errors import InputError
from rocm_images.places import STATE
from rocm_images.publishing.options import trust_options, where_options
from rocm_images.registry.address import RegistryAddress

if TYPE_CHECKING:
    from rocm_images.registry.cosign import Trust
    from rocm_images.registry.place import Place

CATALOGUE = STATE / "catalogue.json"


@click.command()
@click.option(
    "--from",
    "catalogue_path",
    type=click.Path(path_type=Path),
    default=CATALOGUE,
    show_default="build/catalogue.json beside build.py",
    help="The catalogue.json to render.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder that gets catalogue.html.  [default: that of the catalogue]",
)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of catalogue.json instead.")
@where_options
@trust_options
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
    matrix_path: Path,
    servers: tuple[str, ...],
) -> None:
    """Render catalogue.html, the page to choose an image on, from catalogue.json.

    With --registry, fetch catalogue.json from there first, once its signature is verified.
    """
    if schema:
        if output:
            raise InputError("--schema prints: leave out --output")
        click.echo(schema_text(), nl=False)
        return
    source = click.get_current_context().get_parameter_source("catalogue_path")
    # A file that was named outweighs a registry that is only in the environment.
    if registry and source is ParameterSource.DEFAULT:
        from rocm_images.plan.selection import Choice, repository_of
        from rocm_images.registry.cosign import trust_of
        from rocm_images.registry.place import place_of

        matrix, cells = load(matrix_path)
        name = repository_of(Choice(servers).of(matrix, cells))
        trust = trust_of(key, identity, issuer)
        there = place_of(name, registry, ca_bundle, attempts, os.environ)
        telling.written(f"wrote {os.path.relpath(_fetch(there, trust, output))}")
        return
    from rocm_images.catalogue.file import content_of, read
    from rocm_images.catalogue.page import page
    from rocm_images.catalogue.signed import SIGNATURE
    from rocm_images.files import write_whole

    folder = output or catalogue_path.parent
    path = folder / "catalogue.html"
    write_whole(path, page(read(catalogue_path)))
    if folder.resolve() != catalogue_path.parent.resolve():
        # Who reads the page can take the list that it shows, and verify it.
        for one in (catalogue_path, catalogue_path.with_name(SIGNATURE)):
            if one.exists():
                write_whole(folder / one.name, content_of(one).decode())
    telling.written(f"wrote {os.path.relpath(path)}")


def _fetch(there: Place, trust: Trust, output: Path | None) -> Path:
    """Fetch the catalogue that a registry has and render it; returns the path of the page."""
    from rocm_images.catalogue.signed import TAG, as_in, signed_in, write_files

    found = signed_in(there.repository)
    if found is None:
        raise InputError(f"{there.repository} has no catalogue: nothing was published there")
    said = found.verified(there.cosign, trust, there.repository.reference(TAG))
    telling.step(f"verified: signed by {trust.words}; of {said.updated}")
    return write_files(output or CATALOGUE.parent, found, as_in(there.repository, said))


def schema_text() -> str:
    """docs/catalogue.schema.json."""
    import json

    from rocm_images.catalogue.schema import json_schema

    return json.dumps(json_schema(), indent=2) + "\n"
