"""The verbs that compare images: diff, inventory and release-notes."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from rocm_images import telling
from rocm_images.build.site import Site
from rocm_images.cli.options import (
    choice_options,
    load,
    matrix_option,
    rehearse_option,
)
from rocm_images.errors import RocmImagesError
from rocm_images.places import STATE
from rocm_images.telling import quoted

if TYPE_CHECKING:
    from rocm_images.plan.selection import Choice

INVENTORY = STATE / "inventory.json"


@click.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--json", "as_json", is_flag=True, help="Print one object for machines.")
@matrix_option
@rehearse_option
def diff(old: str, new: str, as_json: bool, matrix_path: Path, site: Site) -> None:
    """Show how image NEW differs from image OLD: packages and their sizes, settings, layers.

    Both are images that the engine has, by any reference. Packages are listed from inside.
    """
    from rocm_images.comparing.difference import difference
    from rocm_images.comparing.inside import facts_of
    from rocm_images.comparing.text import as_text

    recipes = _recipes(matrix_path)
    client = site.engine_of_typed().client()
    try:
        found = difference(facts_of(client, old, recipes), facts_of(client, new, recipes))
    finally:
        client.close()
    click.echo(json.dumps(found.as_json(), indent=2) if as_json else as_text(found))


def _recipes(matrix_path: Path) -> dict[str, str]:
    """The matrix's Dockerfiles, by what an image's label says of its own; none without a matrix.

    Raises:
        RocmImagesError: a matrix that was named cannot be used.
    """
    source = click.get_current_context().get_parameter_source("matrix_path")
    named = source is not ParameterSource.DEFAULT
    if not named and not matrix_path.exists():
        return {}
    from rocm_images.recipe.build_id import SHORT
    from rocm_images.recipe.render import render

    try:
        texts = [text for _, text in render(*load(matrix_path))]
    except RocmImagesError as error:
        # Images of anybody's are compared in any folder.
        if named:
            raise
        telling.step(f"note: the stages of layers are not known: {quoted(error)}")
        return {}
    return {hashlib.sha256(text.encode()).hexdigest()[:SHORT]: text for text in texts}


@click.command()
@matrix_option
@choice_options
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=INVENTORY,
    show_default="build/inventory.json beside build.py",
    help="The file to write.",
)
@rehearse_option
def inventory(
    matrix_path: Path,
    choice: Choice,
    output: Path,
    site: Site,
) -> None:
    """Write down what the engine's images of the chosen cells hold, for later release notes."""
    from rocm_images.comparing.facts import write_inventory
    from rocm_images.comparing.inside import facts_of

    matrix, cells = load(matrix_path)
    chosen = choice.of(matrix, cells)
    client = site.engine().client()
    try:
        references = [cell.reference(cell.tags[0] + site.tag_suffix) for cell in chosen]
        images = [facts_of(client, reference) for reference in references]
    finally:
        client.close()
    write_inventory(output, images)
    telling.written(f"wrote {os.path.relpath(output)}: {len(images)} images")


@click.command("release-notes")
@click.argument("old", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("new", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--title", default="Images", show_default=True, help="The heading.")
@click.option("--channel", metavar="NAME", help="Of catalogues, only the images of this channel.")
def release_notes(old: Path, new: Path, title: str, channel: str | None) -> None:
    """Print in Markdown what changed in each image, from file OLD to file NEW.

    Each is a catalogue.json, or what `inventory` wrote; only an inventory knows all packages.
    """
    from rocm_images.comparing.facts import read_images
    from rocm_images.comparing.text import release_notes as notes

    click.echo(notes(title, read_images(old, channel), read_images(new, channel)), nl=False)
