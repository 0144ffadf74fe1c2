"""The verbs that compare images: diff and release-notes."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from pathlib import Path

import click
from click.core import ParameterSource

from rocm_images import telling
from rocm_images.build.site import Site
from rocm_images.cli.options import load, matrix_option, rehearse_option
from rocm_images.errors import RocmImagesError
from rocm_images.places import STATE
from rocm_images.telling import quoted


@click.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--json", "as_json", is_flag=True, help="Print one object for machines.")
@matrix_option
@rehearse_option
def diff(old: str, new: str, as_json: bool, matrix_path: Path, site: Site) -> None:
    """Show how image NEW differs from image OLD: packages and their sizes, settings, layers.

    Both are images that the engine has, by any reference. Packages are those of their SBOMs.
    """
    from rocm_images.comparing.difference import difference
    from rocm_images.comparing.inside import facts_of
    from rocm_images.comparing.text import as_text
    from rocm_images.engine.layers import found_image

    recipes = _recipes(matrix_path)
    engine, kept = site.engine_of_typed(), STATE / "evidence"
    with closing(engine.client()) as client:
        # Before a bill is made of the one that is there.
        for image in (old, new):
            found_image(client, image)
    found = difference(*(facts_of(engine, image, kept, recipes) for image in (old, new)))
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


@click.command("release-notes")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--title", default="Images", show_default=True, help="The heading.")
@click.option("--channel", metavar="NAME", help="Of catalogues, only the images of this channel.")
def release_notes(old: Path, new: Path, title: str, channel: str | None) -> None:
    """Print in Markdown what changed in each image, from file OLD to file NEW.

    Each is a catalogue.json, where SBOMs may lie beside it, or an SBOM, or a folder of SBOMs.
    """
    from rocm_images.comparing.facts import read_images
    from rocm_images.comparing.text import release_notes as notes

    click.echo(notes(title, read_images(old, channel), read_images(new, channel)), nl=False)
