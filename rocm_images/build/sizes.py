"""How large the images are that the engine has: `sizes` without a registry."""

from __future__ import annotations

from collections.abc import Sequence

from rocm_images import telling
from rocm_images.build.site import Site
from rocm_images.build.targets import command_of, reference_of
from rocm_images.engine.image_store import sizes_of
from rocm_images.engine.layers import Layer, layers_of, size_report
from rocm_images.errors import NoSuchImage
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell
from rocm_images.recipe.render import render
from rocm_images.tables import filled, room


def print_sizes(matrix: Matrix, cells: Sequence[Cell], site: Site) -> None:
    """Print the size report of the cells' images, base by base; says which the engine has not.

    Raises:
        RocmImagesError: no engine, or it has none of them.
    """
    client = site.engine().client()
    reports: dict[str, dict[str, tuple[Layer, ...]]] = {}
    names: dict[str, str] = {}
    missing = []
    try:
        for cell, dockerfile in render(matrix, cells):
            reference = reference_of(cell, site)
            try:
                layers = layers_of(client, reference, dockerfile)
            except NoSuchImage:
                missing.append(NoSuchImage(reference, command_of(cell, site)))
                continue
            reports.setdefault(cell.rocm, {})[cell.name] = layers
            names[reference] = cell.name
        if missing and not names:
            raise missing[0]
        found = sizes_of(client, names)
    finally:
        client.close()
    sizes = {names[reference]: size for reference, size in found.items()}
    print("\n\n".join(size_report(images, sizes) for images in reports.values()))
    note = "compressed layers are not known before a push: `sizes --registry` shows a registry's"
    telling.written(filled(note, room()))
    for one in missing:
        telling.step(f"note: {one}")
