"""Keeps the catalogue: in the registry, beside the images it lists, and in a folder as files.

In the registry it is an OCI artifact with the tag `catalogue`, so that every machine that publishes
goes on from the same one, and one request shows all images of one moment. It is not signed: it is a
list, and `pull` verifies what it names.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from rocm_images.catalogue import file
from rocm_images.catalogue.entry import entry_of
from rocm_images.catalogue.merge import merged, restored
from rocm_images.catalogue.schema import Catalogue, CatalogueEntry
from rocm_images.engine.images import BUILD_ID
from rocm_images.errors import RegistryError
from rocm_images.files import write_whole
from rocm_images.publishing.transaction import Done
from rocm_images.recipe import labels
from rocm_images.registry.client import Manifest, Repository

TAG = "catalogue"
KIND = "application/vnd.rocm-serving-images.catalogue.v1+json"
# https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_EMPTY_KIND, _EMPTY = "application/vnd.oci.empty.v1+json", b"{}"


def catalogue_in(repository: Repository) -> Catalogue | None:
    """The catalogue that a repository has, or None.

    Raises:
        RegistryError: the registry does not answer.
        InputError: what it has is no catalogue of a schema that is known.
    """
    manifest = repository.manifest(TAG)
    if manifest is None:
        return None
    layers = manifest.document.get("layers")
    if not layers:
        raise RegistryError(f"{repository.reference(TAG)} is no catalogue: it has no content")
    content = repository.blob(layers[0]["digest"])
    return file.parse(content, repository.reference(TAG))


def put_catalogue(repository: Repository, catalogue: Catalogue) -> None:
    """Put a catalogue into a repository, in place of the one that it has.

    Raises:
        RegistryError: the registry does not take it.
    """
    content = (catalogue.model_dump_json(indent=2, by_alias=True) + "\n").encode()
    document = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "artifactType": KIND,
        "config": _blob(repository, _EMPTY_KIND, _EMPTY),
        "layers": [_blob(repository, KIND, content)],
    }
    repository.put_tag(TAG, Manifest(json.dumps(document).encode()))


def _blob(repository: Repository, kind: str, content: bytes) -> dict[str, str | int]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    repository.put_blob(digest, content)
    return {"mediaType": kind, "digest": digest, "size": len(content)}


def entries_of(repository: Repository, channel: str, done: Sequence[Done]) -> list[CatalogueEntry]:
    """The entries of what was just published."""
    return [
        entry_of(
            one.candidate.cell,
            repository=str(repository),
            tags=one.candidate.rolling,
            immutable_tag=one.candidate.immutable,
            digest=one.image.digest,
            manifest=one.image.manifest,
            evidence=one.candidate.evidence,
            build_id=one.image.labels[BUILD_ID],
            channel=channel,
            published=_now(),
            stand_in=labels.STAND_IN in one.image.labels,
        )
        for one in done
    ]


def record(repository: Repository, entries: Sequence[CatalogueEntry]) -> Catalogue:
    """Add entries to the catalogue in the repository; writes nothing where nothing changed.

    Raises:
        RegistryError: the registry failed.
        InputError: the catalogue that it has cannot be read.
    """
    previous = catalogue_in(repository)
    known = {image.key: image for image in previous.images} if previous else {}
    kept = [_unless_new(entry, known.get(entry.key)) for entry in entries]
    catalogue = merged(previous, kept, _now())
    if previous and (catalogue.images, catalogue.history) == (previous.images, previous.history):
        return previous
    put_catalogue(repository, catalogue)
    return catalogue


def _unless_new(entry: CatalogueEntry, known: CatalogueEntry | None) -> CatalogueEntry:
    """The entry, with its old date where only the date differs from the one that is known."""
    if known is None:
        return entry
    same = entry.model_copy(update={"published": known.published, "shared": known.shared})
    return same if same == known else entry


def put_back(
    repository: Repository, immutable_tags: Sequence[str], channel: str
) -> Catalogue | None:
    """The catalogue after the rolling tags of a channel went back to images; None without one.

    Raises:
        RegistryError: the registry failed.
        InputError: the catalogue that it has cannot be read.
    """
    catalogue = catalogue_in(repository)
    if catalogue is None:
        return None
    known = {image.immutable_tag for image in (*catalogue.images, *catalogue.history)}
    back = catalogue
    for tag in immutable_tags:
        # Of an image that was published before there was a catalogue, it knows nothing.
        if tag in known:
            back = restored(back, tag, _now(), channel=channel)
    if back != catalogue:
        put_catalogue(repository, back)
    return back


def moved_to(
    catalogue: Catalogue | None, repository: Repository, digests: frozenset[str], channel: str
) -> list[CatalogueEntry]:
    """The entries of a channel's images with these digests, as another repository has them."""
    images = catalogue.images if catalogue else ()
    return [
        image.model_copy(update={"repository": str(repository)})
        for image in images
        if image.digest in digests and image.channel == channel
    ]


def write_files(folder: Path, catalogue: Catalogue) -> Path:
    """Write catalogue.json and the page made from it; returns the page's path.

    Raises:
        InputError: a file cannot be written.
    """
    from rocm_images.catalogue.page import page

    file.write(folder / "catalogue.json", catalogue)
    path = folder / "catalogue.html"
    write_whole(path, page(catalogue))
    return path


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
