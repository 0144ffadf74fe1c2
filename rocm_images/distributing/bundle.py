"""One file with everything that a site without network needs: images, signatures, catalogue.

A tar file of an OCI layout, in which images share their blobs, and bundle.json, which says which
images those are and of which channel. `publish --from FILE` loads it there. Nothing in it is
believed: which cell and tags an image has, and what it was tested on, its publisher signed.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rocm_images.catalogue.signed import FILE, SIGNATURE, Signed, write_files
from rocm_images.distributing.channel_images import ChannelImage
from rocm_images.errors import REFUSALS, InputError, VerificationFailed, WriteRefused
from rocm_images.files import cannot_write
from rocm_images.foreign import document_of
from rocm_images.references import DIGEST
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.manifest import LARGEST_BLOB, Manifest
from rocm_images.tables import bytes_in_words
from rocm_images.waiting import waiting_for

SCHEMA = 2
_BLOB = re.compile(r"blobs/sha256/[0-9a-f]{64}")
_DOCUMENTS = ("bundle.json", FILE, SIGNATURE)
_LAYOUT = '{"imageLayoutVersion": "1.0.0"}\n'
# https://github.com/opencontainers/image-spec/blob/main/annotations.md
_NAME = "org.opencontainers.image.ref.name"


@dataclass(frozen=True)
class BundledImage:
    """One image of a bundle. `entries` are its own entries of the layout's index."""

    digest: str
    entries: tuple[dict[str, object], ...]


@dataclass(frozen=True)
class Bundle:
    """A bundle that lies unpacked in a folder."""

    folder: Path
    channel: str
    images: tuple[BundledImage, ...]

    def reference(self, tag_or_digest: str) -> str:
        """What an image in it is called."""
        return f"bundle{'@' if ':' in tag_or_digest else ':'}{tag_or_digest}"

    def manifest(self, tag_or_digest: str) -> Manifest | None:
        """A manifest or index, by digest."""
        return Manifest(self.blob(tag_or_digest)) if self._blob(tag_or_digest).exists() else None

    def blob(self, digest: str) -> bytes:
        """A small blob. Its content was compared with its digest when the bundle was unpacked."""
        try:
            with self._blob(digest).open("rb") as file:
                content = file.read(LARGEST_BLOB + 1)
        except FileNotFoundError:
            raise InputError(f"{self.reference(digest)} is missing: write it again") from None
        if len(content) > LARGEST_BLOB:
            raise InputError(f"{self.reference(digest)} is larger than it can be")
        return content

    def _blob(self, digest: str) -> Path:
        # Of a text that is no digest nothing is left that could leave the folder.
        return self.folder / "blobs" / "sha256" / re.sub(r"^sha256:|[^0-9a-f]", "", digest)

    def catalogue(self) -> Signed | None:
        """The catalogue of the bundle's publisher, not verified, where it has one."""
        try:
            files = [(self.folder / name).read_bytes() for name in (FILE, SIGNATURE)]
        except FileNotFoundError:
            return None
        return Signed(*files)

    def layout_of(self, image: BundledImage) -> Path:
        """An OCI layout of one image alone, which shares the blobs of the bundle."""
        alone = self.folder / "alone" / image.digest.removeprefix("sha256:")
        try:
            if not alone.exists():
                alone.mkdir(parents=True)
                (alone / "oci-layout").write_text(_LAYOUT)
                (alone / "index.json").write_text(_index(image.entries))
                (alone / "blobs").symlink_to(self.folder / "blobs")
        except OSError as error:
            raise cannot_write(alone, error) from None
        return alone


def write_bundle(
    path: Path,
    channel: str,
    images: Sequence[ChannelImage],
    cosign: Cosign,
    catalogue: Signed | None,
    on_step: Callable[[str], None],
) -> int:
    """Write a bundle, whole or not at all; returns its size in bytes.

    Takes as much space again beside the file while it is written.

    Raises:
        InputError: the file cannot be written.
        WriteRefused: the disk is full or read-only, or the like, also where cosign says so.
        RegistryError: an image cannot be read.
    """
    try:
        with TemporaryDirectory(prefix=".bundle-", dir=path.resolve().parent) as name:
            folder = Path(name)
            bundled = []
            for one in images:
                on_step(f"save {one.immutable}: {one.image.extent}")
                bundled.append(_save(folder, one, cosign))
            entries = [entry for image in bundled for entry in image.entries]
            document = {
                "schema": SCHEMA,
                "channel": channel,
                "images": [
                    {"digest": image.digest, "entries": list(image.entries)} for image in bundled
                ],
            }
            (folder / "bundle.json").write_text(json.dumps(document, indent=2) + "\n")
            (folder / "index.json").write_text(_index(entries))
            (folder / "oci-layout").write_text(_LAYOUT)
            if catalogue is not None:
                write_files(folder, catalogue)
            on_step(f"write {path}")
            partial = folder / "bundle.tar"
            _pack(folder, partial)
            size = partial.stat().st_size
            partial.replace(path)
            return size
    except OSError as error:
        hint = "name a folder with space for twice the images, by --output"
        raise cannot_write(path, error, hint) from None


def _save(folder: Path, one: ChannelImage, cosign: Cosign) -> BundledImage:
    # cosign writes the index anew for each image; blobs that are there already are shared.
    for name in ("index.json", "oci-layout"):
        (folder / name).unlink(missing_ok=True)
    cosign.save(one.image.reference, folder)
    entries = json.loads((folder / "index.json").read_text())["manifests"]
    for entry in entries:
        if entry["digest"] == one.image.digest:
            entry.setdefault("annotations", {})[_NAME] = one.immutable
    return BundledImage(one.image.digest, tuple(entries))


def _index(entries: Sequence[dict[str, object]]) -> str:
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": list(entries),
    }
    return json.dumps(document, indent=2) + "\n"


def _pack(folder: Path, path: Path) -> None:
    """Packs files in a fixed order, and removes each blob once it is packed."""
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    # What describes the blobs comes first, so that a reader need not seek.
    names.sort(key=lambda name: name.startswith("blobs/"))
    whole = sum((folder / name).stat().st_size for name in names)
    with (
        waiting_for("the disk, which takes the bundle") as wait,
        tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive,
    ):
        # By the file's own size, as one blob may be most of it.
        wait.at(lambda: _of(path.stat().st_size, whole))
        for name in names:
            if (folder / name) == path:
                continue
            entry = archive.gettarinfo(folder / name, name)
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            entry.mode = 0o644
            with (folder / name).open("rb") as file:
                archive.addfile(entry, file)
            (folder / name).unlink()


def check_is_file(path: Path) -> None:
    """There is a file to be opened; what it holds is another question.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    try:
        # Whatever else it is may wait for somebody when it is opened.
        if path.exists() and not path.is_file():
            raise InputError(f"--from: {path} is no file: name what `build.py bundle` wrote")
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(
            f"--from: cannot read {path} ({error.strerror}): name what `build.py bundle` wrote"
        ) from None


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """Unpack a bundle beside its file, every blob compared with its digest; gone afterwards.

    Raises:
        InputError: it cannot be read, or is no bundle of this program.
        WriteRefused: there is no room for it, or the like.
        VerificationFailed: a blob is not what its digest says.
    """
    with ExitStack() as stack:
        try:
            if path.exists() and not path.is_file():
                raise ValueError("it is no file")
            place = TemporaryDirectory(prefix=".bundle-", dir=path.resolve().parent)
            folder = Path(stack.enter_context(place))
            _unpack(path, folder)
            bundle = _read(folder)
        except (tarfile.TarError, ValueError, KeyError, TypeError, EOFError) as error:
            raise InputError(
                f"--from: {path} is no whole bundle ({error}): write it again with "
                "`build.py bundle`, or copy it again"
            ) from None
        except OSError as error:
            kind = WriteRefused if error.errno in REFUSALS else InputError
            raise kind(
                f"--from: cannot unpack {path} ({error.strerror or error}): its folder needs as "
                "much free space as the file is large"
            ) from None
        yield bundle


def _unpack(path: Path, folder: Path) -> None:
    (folder / "blobs" / "sha256").mkdir(parents=True)
    held, done = path.stat().st_size, 0
    with (
        waiting_for("the disk, from which the bundle is unpacked") as wait,
        tarfile.open(path, "r:") as archive,
    ):
        wait.at(lambda: _of(done, held))
        for entry in archive:
            # A hole costs an attacker nothing, and is a blob of any size once it is unpacked.
            if entry.issparse() or not 0 <= entry.size <= held - entry.offset_data:
                raise ValueError(f"{entry.name} claims more than the file holds")
            blob = _BLOB.fullmatch(entry.name)
            # Nothing else of the file is used, so nothing else is written anywhere.
            if not entry.isfile() or not (blob or entry.name in _DOCUMENTS):
                continue
            if not blob and entry.size > LARGEST_BLOB:
                raise ValueError(f"{entry.name} is larger than it can be")
            source = archive.extractfile(entry)
            assert source is not None
            digest = hashlib.sha256()
            with (folder / entry.name).open("wb") as file:
                while chunk := source.read(1 << 20):
                    digest.update(chunk)
                    done += len(chunk)
                    file.write(chunk)
            if blob and digest.hexdigest() != Path(entry.name).name:
                raise VerificationFailed(
                    f"--from: {path}: {entry.name} is not what its digest says: the file was "
                    "altered or damaged; copy it again"
                )


def _of(done: int, whole: int) -> str:
    return f"{bytes_in_words(min(done, whole))} of {bytes_in_words(whole)}"


def _read(folder: Path) -> Bundle:
    try:
        document = document_of(folder / "bundle.json")
    except FileNotFoundError:
        raise ValueError("it holds no bundle.json") from None
    if document["schema"] != SCHEMA:
        raise ValueError(
            f"schema {document['schema']}, and this program knows {SCHEMA}: use one version of it "
            "on both sides"
        )
    images = tuple(
        BundledImage(_digest(image["digest"]), tuple(image["entries"]))
        for image in document["images"]
    )
    return Bundle(folder, str(document["channel"]), images)


def _digest(text: str) -> str:
    if not re.fullmatch(DIGEST, text):
        raise ValueError(f"{text!r} is no digest")
    return text
