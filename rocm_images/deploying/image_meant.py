"""Which image of a catalogue a verb's IMAGE is, and which server it holds."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from rocm_images import telling
from rocm_images.catalogue import listed as catalogues
from rocm_images.catalogue.listed import Listed
from rocm_images.catalogue.schema import CatalogueEntry
from rocm_images.cli.group import typed
from rocm_images.cli.options import matrix_at_hand
from rocm_images.deploying.choose import is_reference, named, notes
from rocm_images.deploying.server_meant import entry_of, of_reference
from rocm_images.errors import InputError, closest
from rocm_images.matrix.types import ImageText
from rocm_images.servers import SERVERS, Server, server_of


def image_meant(
    image: str, listed: Listed, server_name: str | None, matrix_path: Path
) -> tuple[str, Server]:
    """The image by digest where it is one of a catalogue, else the reference that was given.

    With the server that it holds, as a catalogue says; of what none knows, the one that was named
    or that its repository is of.

    Raises:
        InputError: there is no such server, or the catalogue or the repository says another.
    """
    if server_name is not None and server_name not in SERVERS:
        raise InputError(
            f"unknown inference server {server_name!r}: {closest(server_name, SERVERS)}"
        )
    whole = listed.path is None and is_reference(image)
    found = _in_ours(_checked(image), listed) if whole else named(listed.read(), image)
    if whole and listed.is_asked and (found is None or found.digest not in image):
        raise InputError(
            f"no signed catalogue here vouches for {image}: verify it with `{telling.COMMAND} pull "
            f"{image}` and the same options, and leave them out here"
        )
    if found is None:
        asked = SERVERS[server_name] if server_name else None
        at_hand = matrix_at_hand(matrix_path)
        server, note = of_reference(image, asked if typed("server_name") else None, at_hand)
        if note and asked:
            # A variable counts where nothing that is known of the image says it.
            server, note = asked, None
        if note:
            telling.step(f"note: {note}")
        return image, server
    if typed("server_name") and server_name != found.server:
        raise InputError(
            f"{image} holds {found.server}, as the catalogue says, and not {server_name}: leave "
            "out --server"
        )
    # What a tag stands for may have changed since the catalogue was written.
    if not whole or found.digest in image:
        tell_notes(found)
    return image if whole else found.reference, server_of(found.server)


def _in_ours(reference: str, listed: Listed) -> CatalogueEntry | None:
    """What the catalogue of this folder has of a whole reference, where there is one."""
    return entry_of(listed.read(), reference) if catalogues.CATALOGUE.exists() else None


def _checked(reference: str) -> str:
    """An image reference of a user, which is to stand in a command.

    Raises:
        InputError: it is none.
    """
    try:
        return str(TypeAdapter(ImageText).validate_python(reference))
    except ValidationError as error:
        raise InputError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def tell_notes(image: CatalogueEntry) -> None:
    """Say what whoever deploys an image should know of it."""
    for sentence in notes(image):
        telling.step(f"note: {sentence}")
