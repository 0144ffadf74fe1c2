"""The verb that says what an image holds: of an engine's image, or as a publisher attests it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rocm_images import telling
from rocm_images.build.site import Site
from rocm_images.cli.options import rehearse_option
from rocm_images.places import STATE
from rocm_images.publishing.options import of_reference_options

if TYPE_CHECKING:
    from rocm_images.registry.trust import Trust

_OWN = "cyclonedx-json"


@click.command()
@click.argument("image")
@of_reference_options
@click.option(
    "--as",
    "form",
    type=click.Choice([_OWN, "spdx-json"]),
    default=_OWN,
    show_default=True,
    help="The format; SPDX is converted by syft, with the time of now.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write; without, it is printed.",
)
@rehearse_option
def sbom(
    image: str,
    key: str | None,
    identity: str | None,
    issuer: str | None,
    ca_bundle: Path | None,
    attempts: int,
    form: str,
    output: Path | None,
    site: Site,
) -> None:
    """Give the software bill of materials of IMAGE: every package with its version and licences.

    IMAGE is one that the engine has, whose packages are then listed from inside; or, with --key or
    --identity, HOST/NAME:TAG of a registry, whose signed SBOM is then verified.
    """
    from rocm_images.files import write_whole
    from rocm_images.references import ImageName
    from rocm_images.registry.trust import trust_of

    named = ImageName.parse(re.sub("^https?://", "", image))
    # Whoever has set a key for all may name an engine's image as well.
    if (key or identity or issuer) and named and named.host:
        trust = trust_of(key, identity, issuer)
        document = _attested(image, trust, ca_bundle, attempts, site)
    else:
        document = _of_engine(image, site)
    text = _text(document, form)
    if output is None:
        click.echo(text, nl=False)
        return
    write_whole(output, text)
    telling.written(f"wrote {os.path.relpath(output)}")


def _of_engine(image: str, site: Site) -> Mapping[str, object]:
    from contextlib import closing

    from rocm_images.engine.layers import found_image
    from rocm_images.sbom.made import sbom_of

    engine = site.engine_of_typed()
    with closing(engine.client()) as client:
        image_id = str(found_image(client, image).id)
    return sbom_of(engine, image_id, STATE / "evidence")


def _attested(
    image: str, trust: Trust, ca_bundle: Path | None, attempts: int, site: Site
) -> Mapping[str, object]:
    from rocm_images.distributing.pull import Asked, Reference, verify
    from rocm_images.errors import VerificationFailed
    from rocm_images.registry.place import place_of
    from rocm_images.registry.sbom import attested_sbom
    from rocm_images.smoke.evidence import Level

    reference = Reference.parse(image)
    where = (reference.name, reference.address, ca_bundle, attempts, site.programs())
    place = place_of(*where)
    verified, _ = verify(place, trust, reference, Asked(Level.STATIC))
    found = attested_sbom(place.cosign, verified.image, trust)
    if found is None:
        raise VerificationFailed(
            f"{verified.image.reference}: {trust.words} attested no bill of materials (SBOM) of "
            "it: an older version of this program published it; pull it, and name the engine's "
            "image without --key"
        )
    telling.step(f"verified: {verified.image.reference}, signed by {trust.words}")
    return found.document


def _text(document: Mapping[str, object], form: str) -> str:
    if form == _OWN:
        return json.dumps(document, indent=2, sort_keys=True) + "\n"
    from rocm_images.sbom.syft import converted

    return converted(document, form)
