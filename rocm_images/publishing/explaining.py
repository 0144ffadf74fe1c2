"""The command that shows what grew between the image that nodes have and the one to publish."""

from __future__ import annotations

import shlex

from rocm_images.catalogue.schema import CatalogueEntry
from rocm_images.engine.connect import Engine
from rocm_images.engine.images import images_of
from rocm_images.publishing.candidates import Candidate
from rocm_images.recipe import labels
from rocm_images.telling import COMMAND


def explaining(engine: Engine | None, one: Candidate, previous: CatalogueEntry | None) -> str:
    """`diff` of two images, with what has to be pulled first; "" where there is none before."""
    if previous is None:
        return ""
    old = one.cell.reference(previous.immutable_tag)
    new = one.target.immutable
    pulled = []
    if not _has(engine, old, previous.digest):
        old = previous.reference
        pulled.append(old)
    if one.on_engine is None:
        new = f"{previous.repository}:{one.immutable}"
        pulled.append(new)
    elif new not in one.on_engine.tags:
        new = one.on_engine.image_id
    words = [*COMMAND.split(), "diff", old, new]
    if labels.STAND_IN in one.target.labels:
        words.append("--rehearse")
    commands = [["docker", "pull", name] for name in pulled]
    return " && ".join(shlex.join(command) for command in (*commands, words))


def _has(engine: Engine | None, reference: str, digest: str) -> bool:
    """Whether the engine has an image by that name, and it is that one."""
    if engine is None:
        return False
    client = engine.client()
    try:
        return any(image.image_id == digest for image in images_of(client, [reference]))
    finally:
        client.close()
