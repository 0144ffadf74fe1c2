"""What goes into each cell's image, and which image the engine already has of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from rocm_images.build.pipeline import BuildOptions, CellInput
from rocm_images.engine.connect import Engine
from rocm_images.engine.images import BUILD_ID, INPUTS, images_of, why_build
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell
from rocm_images.recipe.build_id import SHORT, Inputs, inputs_of

if TYPE_CHECKING:
    from rocm_images.registry.client import Repository

REQUESTS_AT_ONCE = 8


def cell_input(
    matrix: Matrix,
    options: BuildOptions,
    cell: Cell,
    dockerfile: str,
    contexts: Mapping[str, str],
) -> CellInput:
    """A cell with its build id, its references and what it is built from.

    Raises:
        InputError: a folder that goes into the image cannot be read.
    """
    sources = matrix.sources
    pins = {
        "sglang-src": f"{sources.sglang.git}#{sources.sglang.ref}",
        "aiter-src": f"{sources.aiter.git}#{sources.aiter.ref}",
        "rustup-src": f"{sources.rustup.url}@sha256:{sources.rustup.sha256}",
    }
    inputs = inputs_of(
        dockerfile,
        options.rootfs,
        contexts.get(cell.base_image, cell.base_image),
        {name: contexts.get(name, pin) for name, pin in pins.items()},
        options.build_args,
        options.labels,
    )
    references = _references(cell, options.tag_suffix, inputs)
    return CellInput(cell, references, None, dockerfile, contexts, inputs)


def _references(cell: Cell, suffix: str, inputs: Inputs) -> tuple[str, ...]:
    """The rolling references of a cell's image, and after them the immutable one."""
    immutable = f"{cell.tags[0]}{suffix}-{inputs.build_id[:SHORT]}"
    return (*(cell.reference(tag + suffix) for tag in cell.tags), cell.reference(immutable))


def with_found(engine: Engine, given: Sequence[CellInput]) -> list[CellInput]:
    """The same cells, with the image that the engine already has of each."""
    client = engine.client()
    try:
        images = images_of(client, [name for cell in given for name in cell.references])
    finally:
        client.close()
    by_build_id = {image.labels.get(BUILD_ID): image for image in images}
    by_tag = {tag: image for image in images for tag in image.tags}
    found = []
    for cell in given:
        assert cell.inputs is not None
        same = by_build_id.get(cell.inputs.build_id)
        if same is None:
            older = by_tag.get(cell.references[0])
            label = older.labels.get(INPUTS, "") if older else ""
            why = why_build(older, cell.inputs.changed_since(label))
            found.append(replace(cell, why=why))
        else:
            found.append(replace(cell, found=same))
    return found


def with_published(repository: Repository, given: Sequence[CellInput]) -> list[CellInput]:
    """The same cells, with what the target registry has of those that the engine has not.

    One request for each of these.

    Raises:
        RegistryError: the registry does not answer.
    """

    def look(cell: CellInput) -> CellInput:
        if cell.found is not None:
            return cell
        digest = repository.digest_of(cell.references[-1].rpartition(":")[2])
        return replace(cell, published=repository.reference(digest) if digest else "")

    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        return list(pool.map(look, given))
