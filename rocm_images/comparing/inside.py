"""Reads the facts of an image from an engine: its configuration, its layers, and its bill."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rocm_images.comparing.facts import ADVISORIES, ImageFacts, LayerFact
from rocm_images.engine.images import CELL, INPUTS
from rocm_images.engine.layers import found_image, layers_of
from rocm_images.foreign import parsed
from rocm_images.sbom.document import Bill
from rocm_images.sbom.made import sbom_of

if TYPE_CHECKING:
    from rocm_images.engine.connect import Engine


def facts_of(
    engine: Engine,
    reference: str,
    kept: Path,
    recipes: Mapping[str, str] = MappingProxyType({}),
) -> ImageFacts:
    """Everything that images are compared by.

    Args:
        engine: it has the image.
        reference: of the image.
        kept: the folder where its bill lies, or is to.
        recipes: Dockerfiles, by what an image's label of its inputs says of the one that made it.

    Raises:
        InputError: the engine does not have the image.
        EngineError: what the image holds cannot be listed.
    """
    with closing(engine.client()) as client:
        image = found_image(client, reference)
        recipe = recipes.get(_recipe_of(image.labels), "")
        layers = layers_of(client, reference, recipe)
    configuration: Mapping[str, Any] = image.attrs["Config"] or {}
    bill = Bill.of_document(sbom_of(engine, str(image.id), kept))
    env = dict(entry.partition("=")[::2] for entry in configuration.get("Env") or ())
    labels = dict(sorted(image.labels.items()))
    return ImageFacts(
        name=reference,
        cell=labels.get(CELL, ""),
        image_id=str(image.id),
        compressed=False,
        packages=bill.versions,
        labels=labels,
        env=env,
        advisories=tuple(labels.get(ADVISORIES, "").split()),
        layers=tuple(
            LayerFact(layer.digest, layer.size, layer.step, layer.stage if recipe else "")
            for layer in layers
        ),
        installed=bill.sizes,
    )


def _recipe_of(labels: Mapping[str, str]) -> str:
    """What an image's label says of the Dockerfile that made it; empty where it says nothing."""
    try:
        return str(parsed(labels[INPUTS])["dockerfile"])
    except (ValueError, KeyError, TypeError):
        return ""
