"""Makes the bill of an image that an engine has, once, and keeps it beside its evidence."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from rocm_images.engine.images import CELL
from rocm_images.engine.layers import found_image
from rocm_images.errors import EngineError
from rocm_images.files import write_json
from rocm_images.foreign import document_of
from rocm_images.references import short
from rocm_images.sbom.document import Bill, normalised
from rocm_images.sbom.syft import asked, syft_program
from rocm_images.waiting import waiting_for

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from rocm_images.engine.connect import Engine


SUFFIX = ".cdx.json"


def sbom_path(folder: Path, image_id: str) -> Path:
    """Where the bill of an image lies, in the folder of the evidence."""
    return folder / f"{image_id.removeprefix('sha256:')}{SUFFIX}"


def read_sbom(path: Path, ids: Collection[str]) -> Mapping[str, object] | None:
    """The bill of an image that is known by these ids, or None where the file has none of it."""
    try:
        document = document_of(path)
        found = Bill.of_document(document)
    except (OSError, ValueError):
        return None
    return dict(document) if found.image_id in ids else None


def keep_sbom(folder: Path, image_id: str, document: Mapping[str, object]) -> Path:
    """Write the bill of an image to where it lies.

    Raises:
        InputError: it cannot be written.
    """
    path = sbom_path(folder, image_id)
    write_json(path, document)
    return path


def sbom_of(
    engine: Engine | None, image_id: str, folder: Path, program: Path | None = None
) -> Mapping[str, object]:
    """The bill of an image, made and kept where there is none that can be read.

    Args:
        engine: it has the image; None where the file is known to be there.
        image_id: of the image, as the engine knows it.
        folder: of the evidence.
        program: in the place of syft.

    Raises:
        InputError: the engine does not have it, or the file cannot be written.
        EngineError: it cannot be made; the sentence says why.
    """
    known = read_sbom(sbom_path(folder, image_id), {image_id})
    if known is not None:
        return known
    if engine is None:
        raise EngineError(f"{image_id}: no engine has it, so that nothing can list what it holds")
    made = listed(engine, image_id, program)
    keep_sbom(folder, image_id, made)
    return made


def listed(engine: Engine, reference: str, program: Path | None = None) -> dict[str, object]:
    """The bill of an image by any reference, made now; see `sbom_of`."""
    with closing(engine.client()) as client:
        image = found_image(client, reference)
    try:
        name = image.labels.get(CELL) or short(str(image.id))
        with waiting_for(f"syft, which lists what {name} holds"):
            said = asked(engine, image, program or syft_program())
        return normalised(said, str(image.id), image.labels)
    except ValueError as error:
        raise EngineError(f"{image.id}: syft's answer is none ({error})") from None
