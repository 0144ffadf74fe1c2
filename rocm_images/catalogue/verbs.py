"""The verb `catalogue`: renders the page, and prints the schema."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.core import ParameterSource

from rocm_images import telling
from rocm_images.cli.options import (
    ca_bundle_option,
    load,
    matrix_option,
    registry_option,
    server_option,
)
from rocm_images.errors import InputError
from rocm_images.places import STATE
from rocm_images.registry.address import RegistryAddress

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
@registry_option
@ca_bundle_option
@matrix_option
@server_option
def catalogue(
    catalogue_path: Path,
    output: Path | None,
    schema: bool,
    registry: RegistryAddress | None,
    ca_bundle: Path | None,
    matrix_path: Path,
    servers: tuple[str, ...],
) -> None:
    """Render catalogue.html, the page to choose an image on, from catalogue.json.

    With --registry, fetch catalogue.json from there first.
    """
    if schema:
        if output:
            raise InputError("--schema prints: leave out --output")
        click.echo(schema_text(), nl=False)
        return
    source = click.get_current_context().get_parameter_source("catalogue_path")
    # A file that was named outweighs a registry that is only in the environment.
    if registry and source is ParameterSource.DEFAULT:
        telling.written(
            f"wrote {os.path.relpath(_fetch(registry, ca_bundle, matrix_path, servers, output))}"
        )
        return
    from rocm_images.catalogue.file import read
    from rocm_images.catalogue.page import page
    from rocm_images.files import write_whole

    path = (output or catalogue_path.parent) / "catalogue.html"
    write_whole(path, page(read(catalogue_path)))
    telling.written(f"wrote {os.path.relpath(path)}")


def _fetch(
    registry: RegistryAddress,
    ca_bundle: Path | None,
    matrix_path: Path,
    servers: tuple[str, ...],
    output: Path | None,
) -> Path:
    """Fetch the catalogue that a registry has and render it; returns the path of the page."""
    from rocm_images.engine.network import ca_bundle_for
    from rocm_images.plan.selection import Choice, repository_of
    from rocm_images.publishing.catalogued import catalogue_in, write_files
    from rocm_images.registry.client import Repository

    matrix, cells = load(matrix_path)
    trusted = ca_bundle_for(ca_bundle, os.environ)
    name = repository_of(Choice(servers).of(matrix, cells))
    repository = Repository(registry, name, trusted)
    found = catalogue_in(repository)
    if found is None:
        raise InputError(f"{repository} has no catalogue: nothing was published there")
    return write_files(output or CATALOGUE.parent, found)


def schema_text() -> str:
    """docs/catalogue.schema.json."""
    import json

    from rocm_images.catalogue.schema import json_schema

    return json.dumps(json_schema(), indent=2) + "\n"
