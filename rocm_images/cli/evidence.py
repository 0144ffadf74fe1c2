"""The verb `evidence`: what build.py does with files of evidence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rocm_images.cli.options import load, matrix_option

if TYPE_CHECKING:
    from rocm_images.smoke.evidence import Evidence
    from rocm_images.smoke.selftest import Selftest


@click.group()
def evidence() -> None:
    """Look at files of evidence: of smoke tests, and of self-tests on other machines."""


@evidence.command()
@matrix_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--image", metavar="REF", help="The image of the engine that it has to be about.")
def verify(matrix_path: Path, file: Path, image: str | None) -> None:
    """Verify one FILE: unchanged, whole, without contradiction, and about --image."""
    from rocm_images.smoke.evidence import Evidence, Level
    from rocm_images.smoke.verification import verify as verified

    _, cells = load(matrix_path)
    found = verified(file, cells)
    if image:
        _is_of_image(found, image, file)
    if isinstance(found, Evidence):
        outcome = "passed" if found.passed else "FAILED"
        click.echo(f"{found.cell}: {outcome} at level {found.level}, image {found.image_id}")
        if found.level.reaches(Level.GPU):
            click.echo(f"  ran as    {found.ran_as or 'not recorded'}{_unlike(found)}")
    else:
        click.echo(_told(found))


def _unlike(found: Evidence) -> str:
    return "" if found.as_deployed else " (not as deployed: `publish` refuses it)"


def _told(found: Selftest) -> str:
    outcome = "passed" if found.passed else "FAILED"
    lines = [f"{found.image.text('cell')}: {outcome} at level {found.level}, {found.date}"]
    lines.append(f"  image     {found.image.id or 'its id was not told'}")
    lines.append(f"  contents  {found.image.contents}")
    lines += [f"  {tier.name:9s} {tier.status}: {tier.sentence}" for tier in found.tiers]
    return "\n".join(lines)


def _is_of_image(found: Selftest | Evidence, reference: str, file: Path) -> None:
    """Raises EvidenceInvalid where the evidence is of another image than the engine's."""
    from rocm_images.build.site import engine_without_a_site
    from rocm_images.errors import EvidenceInvalid
    from rocm_images.smoke.engine_image import identify
    from rocm_images.smoke.selftest import Selftest

    actual = identify(engine_without_a_site(), reference)
    claimed = found.image.id if isinstance(found, Selftest) else found.image_id
    if claimed is not None and claimed != actual.image_id:
        raise EvidenceInvalid(f"{file} is about {claimed}; {reference} is {actual.image_id}")
    if isinstance(found, Selftest) and found.image.contents != actual.contents:
        raise EvidenceInvalid(
            f"{file} is about an image with the contents {found.image.contents}; {reference} has "
            f"{actual.contents}"
        )
