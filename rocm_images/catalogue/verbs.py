"""The verb `catalogue`: renders the page, and prints the schema."""

from __future__ import annotations

import os
from pathlib import Path

import click

from rocm_images.command_options import PROJECT
from rocm_images.errors import InputError

CATALOGUE = PROJECT / "build" / "catalogue.json"


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
def catalogue(catalogue_path: Path, output: Path | None, schema: bool) -> None:
    """Render catalogue.html, the page to choose an image on, from catalogue.json."""
    if schema:
        if output:
            raise InputError("--schema prints: leave out --output")
        click.echo(schema_text(), nl=False)
        return
    from rocm_images.catalogue.file import read, write_whole
    from rocm_images.catalogue.page import page

    path = (output or catalogue_path.parent) / "catalogue.html"
    write_whole(path, page(read(catalogue_path)))
    click.echo(f"wrote {os.path.relpath(path)}")


def schema_text() -> str:
    """docs/catalogue.schema.json."""
    import json

    from rocm_images.catalogue.schema import json_schema

    return json.dumps(json_schema(), indent=2) + "\n"
