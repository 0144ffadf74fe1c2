"""The catalogue with its publisher's signature: in a registry, in a bundle, in a folder.

In a registry it is an OCI artifact with the tag `catalogue` beside the images that it lists, of two
blobs: the catalogue and the signature. Both travel as they are, to mirrors and in bundles; what is
read there names the repository of its publisher, and is about the same digests there.
"""

from __future__ import annotations

import datetime
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rocm_images import telling
from rocm_images.catalogue import file
from rocm_images.catalogue.bills import beside
from rocm_images.catalogue.merge import together
from rocm_images.catalogue.owner import check_owner
from rocm_images.catalogue.schema import Catalogue, CatalogueEntry
from rocm_images.catalogue.sharing import with_sharing
from rocm_images.errors import InputError, RegistryError, VerificationFailed
from rocm_images.files import write_whole
from rocm_images.pool import Threads
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.manifest import Manifest, digest_of
from rocm_images.registry.trust import Signer, Trust

TAG = "catalogue"
KIND = "application/vnd.rocm-serving-images.catalogue.v1+json"
SIGNATURE_KIND = "application/vnd.rocm-serving-images.catalogue.signature.v1+json"
FILE, SIGNATURE = "catalogue.json", "catalogue.sig.json"
# https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_EMPTY_KIND, _EMPTY = "application/vnd.oci.empty.v1+json", b"{}"
_AT_ONCE = 8


@dataclass(frozen=True)
class Signed:
    """A catalogue byte for byte, and its publisher's signature."""

    content: bytes
    signature: bytes

    def verified(self, cosign: Cosign, trust: Trust, name: str) -> Catalogue:
        """The catalogue, when it is signed by those who are trusted.

        Raises:
            VerificationFailed: it is not.
            RegistryError: that cannot be found out: whoever has to be asked does not answer.
            InputError: it is no catalogue of a schema that is known.
        """
        with tempfile.TemporaryDirectory() as folder:
            content = Path(folder, FILE)
            content.write_bytes(self.content)
            if not cosign.verify_file(content, self.signature, trust):
                raise VerificationFailed(
                    f"{name} is not signed by {trust.words}: somebody replaced it, or an older "
                    "version of this program wrote it; do not use it"
                )
        return file.parse(self.content, name)


def signed(catalogue: Catalogue, cosign: Cosign, signer: Signer) -> Signed:
    """A catalogue with a signature.

    Raises:
        InputError: the key cannot be used.
    """
    content = file.text_of(catalogue).encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, FILE)
        path.write_bytes(content)
        return Signed(content, cosign.sign_file(path, signer).encode())


def signed_together(each: Sequence[Signed], cosign: Cosign, signer: Signer) -> Signed:
    """The catalogues of several repositories as one list, which its publisher signs as well.

    Raises:
        InputError: the key cannot be used.
    """
    if len(each) == 1:
        return each[0]
    said = [file.parse(one.content, FILE) for one in each]
    return signed(together(said), cosign, signer)


def signed_file(path: Path) -> Signed:
    """The catalogue in a file and the signature beside it, not verified.

    Raises:
        InputError: one of them cannot be read.
    """
    content = file.content_of(path)
    beside = path.with_name(SIGNATURE)
    if not beside.exists():
        raise InputError(
            f"{path} has no signature beside it: take {SIGNATURE} from where you took it, or take "
            "the file at its word with --unverified"
        )
    return Signed(content, file.content_of(beside))


def signed_in(repository: Repository) -> Signed | None:
    """The catalogue that a repository has, not verified, or None.

    Raises:
        RegistryError: the registry does not answer, or has something else there.
        VerificationFailed: what it has carries no signature.
    """
    manifest = repository.manifest(TAG)
    if manifest is None:
        return None
    name = repository.reference(TAG)
    try:
        kinds = {layer["mediaType"]: layer["digest"] for layer in manifest.document["layers"]}
    except (KeyError, TypeError) as error:
        raise RegistryError(f"{name} is no catalogue ({error!r})") from None
    if SIGNATURE_KIND not in kinds or KIND not in kinds:
        raise VerificationFailed(
            f"{name} carries no signature: somebody replaced it, or an older version of this "
            "program wrote it; do not use it"
        )
    return Signed(repository.blob(kinds[KIND]), repository.blob(kinds[SIGNATURE_KIND]))


def verified_in(
    repository: Repository, cosign: Cosign, trust: Trust, server: str | None = None
) -> tuple[Signed, Catalogue] | None:
    """The catalogue that a repository has, as its publisher signed it and what it says, or None.

    `server` is the one whose images the repository has; None where nobody said.

    Raises:
        RegistryError: the registry does not answer.
        VerificationFailed: it is not signed by those who are trusted, or for another repository
            than this one and its mirrors.
        InputError: it is no catalogue of a schema that is known.
    """
    found = signed_in(repository)
    if found is None:
        return None
    name = repository.reference(TAG)
    said = found.verified(cosign, trust, name)
    check_owner(repository.name, said, name, server)
    return found, said


def as_in(repository: Repository, catalogue: Catalogue) -> Catalogue:
    """The catalogue with the entries whose images a repository has, by their digest there.

    Nothing is asked of entries that name the repository itself.

    Raises:
        RegistryError: the registry does not answer.
    """
    here = str(repository)

    def moved(entry: CatalogueEntry) -> CatalogueEntry | None:
        if entry.repository == here:
            return entry
        there = repository.manifest(entry.digest)
        return entry.model_copy(update={"repository": here}) if there else None

    with Threads(_AT_ONCE) as pool:
        images = [one for one in pool.map(moved, catalogue.images) if one]
        history = [one for one in pool.map(moved, catalogue.history) if one]
    return catalogue.model_copy(
        update={"images": with_sharing(images, history), "history": tuple(history)}
    )


def put_signed(repository: Repository, what: Signed) -> None:
    """Put a catalogue into a repository, in place of the one that it has.

    Raises:
        RegistryError: the registry does not take it.
    """
    document = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "artifactType": KIND,
        "config": _blob(repository, _EMPTY_KIND, _EMPTY),
        "layers": [
            _blob(repository, KIND, what.content),
            _blob(repository, SIGNATURE_KIND, what.signature),
        ],
    }
    repository.put_tag(TAG, Manifest(json.dumps(document).encode()))


def bring(repository: Repository, what: Signed, cosign: Cosign, trust: Trust) -> None:
    """Put the catalogue of another repository into a mirror, unless that has a newer one.

    Raises:
        RegistryError: the registry failed.
    """
    try:
        there, newer = verified_in(repository, cosign, trust) or (None, None)
    except (VerificationFailed, InputError):
        there = newer = None
    if there == what:
        return
    if newer and _moment(newer) > _moment(file.parse(what.content, FILE)):
        telling.step(f"note: {repository} keeps its catalogue of {newer.updated}, which is newer")
        return
    put_signed(repository, what)


def _moment(catalogue: Catalogue) -> datetime.datetime:
    return datetime.datetime.fromisoformat(catalogue.updated)


def _blob(repository: Repository, kind: str, content: bytes) -> dict[str, str | int]:
    digest = digest_of(content)
    repository.put_blob(digest, content)
    return {"mediaType": kind, "digest": digest, "size": len(content)}


def write_verified(
    folder: Path, found: Sequence[tuple[Signed, Catalogue]], trust: Trust | None = None
) -> Path:
    """Write one list of what several repositories have, and its page; returns the page's path.

    Of several no signature is written: each is about its own list.

    Args:
        folder: where.
        found: of each what was fetched, verified, and what it says of the repository.

    Raises:
        InputError: a file cannot be written.
    """
    if len(found) == 1:
        return write_files(folder, *found[0], trust=trust)
    return _write_unsigned(folder, together([said for _, said in found]), trust)


def write_files(
    folder: Path,
    what: Signed,
    catalogue: Catalogue | None = None,
    *,
    trust: Trust | None = None,
) -> Path:
    """Write a catalogue, its signature and the page made from it; returns the page's path.

    `catalogue` is what it says of the repository that it was fetched from; else what it says.
    `trust`: whose signature the page's commands ask for.

    Raises:
        InputError: a file cannot be written.
    """
    said = file.parse(what.content, FILE)
    if catalogue is not None and catalogue != said:
        # Of a mirror: it names images there, and its publisher's signature is not about that.
        return _write_unsigned(folder, catalogue, trust)
    write_whole(folder / FILE, what.content.decode())
    write_whole(folder / SIGNATURE, what.signature.decode())
    return _write_page(folder, said, trust)


def _write_unsigned(folder: Path, catalogue: Catalogue, trust: Trust | None) -> Path:
    file.write(folder / FILE, catalogue)
    (folder / SIGNATURE).unlink(missing_ok=True)
    return _write_page(folder, catalogue, trust)


def _write_page(folder: Path, catalogue: Catalogue, trust: Trust | None) -> Path:
    from rocm_images.catalogue.page import page

    path = folder / "catalogue.html"
    bills = beside(folder, (image.digest for image in catalogue.images))
    write_whole(path, page(catalogue, trust, bills=bills))
    return path
