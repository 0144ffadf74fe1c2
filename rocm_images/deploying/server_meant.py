"""Which inference server is meant where no catalogue says it: by a reference, or by the matrix."""

from __future__ import annotations

from collections.abc import Collection

from rocm_images.catalogue.schema import Catalogue, CatalogueEntry
from rocm_images.errors import InputError
from rocm_images.matrix.schema import Matrix
from rocm_images.references import ImageName
from rocm_images.servers import SERVERS, Server


def of_several(servers: Collection[str], matrix: Matrix) -> Server | None:
    """The matrix's default server; None where it is none of these."""
    name = matrix.default_server
    return SERVERS[name] if name in servers else None


def entry_of(catalogue: Catalogue, reference: str) -> CatalogueEntry | None:
    """The image of a whole reference, in whatever repository: a digest is one image everywhere."""
    name = ImageName.parse(reference)
    for image in (*catalogue.images, *catalogue.history):
        if name and name.digest == image.digest:
            return image
        tags = {*image.tags, image.immutable_tag}
        if name and not name.digest and name.repository == image.repository and name.tag in tags:
            return image
    return None


def of_reference(reference: str, named: Server | None, matrix: Matrix) -> tuple[Server, str | None]:
    """The server of an image that no catalogue knows, and what its user should know of that.

    The last part of the repository tells it where it is that of one server of the matrix.

    Raises:
        InputError: it is that of another server than the one that was named.
    """
    name = ImageName.parse(reference)
    last = name.repository.rpartition("/")[2] if name else ""
    owners = [
        SERVERS[server]
        for server, known in matrix.servers.items()
        if known.repository.rpartition("/")[2] == last
    ]
    if named is not None:
        if owners and named not in owners:
            titles = " and ".join(owner.title for owner in owners)
            raise InputError(
                f"{reference}: the matrix calls images of {titles} {last}, and --server says "
                f"{named.name}: say --server {owners[0].name}, or name the image that is meant"
            )
        return named, None
    if len(owners) == 1:
        return owners[0], None
    server = SERVERS[matrix.default_server]
    return server, (
        f"no catalogue knows {reference}: it is taken for an image of {server.title}, the matrix's "
        "default; --server names another."
    )
