"""The build id of a cell: a hash of everything that goes into its image, and of nothing else.

In: the rendered Dockerfile, the files of images/rootfs, what replaces or pins the base and each
source, the build arguments, the layers' compression. Out: time, machine, paths, the number of jobs,
secrets. They are kept one by one, so that a change can be named. docs/build-id.md describes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rocm_images.errors import InputError
from rocm_images.foreign import parsed

# Changes when the meaning of the inputs does, so that old images are not taken for new ones.
SCHEME = "1"
SHORT = 12
_CHUNK = 1 << 20
"""Bytes that are read at once: a context can hold files larger than memory."""
# A checkout's history and Python's caches are no part of what is built.
_NEVER_READ = {".git", "__pycache__"}


@dataclass(frozen=True)
class Inputs:
    """Everything that goes into one image: a digest, or the text itself, by the input's name."""

    parts: Mapping[str, str]

    @property
    def build_id(self) -> str:
        """SHA-256 of the inputs as canonical JSON: 64 hex digits, the same on every platform."""
        document = {"scheme": SCHEME, **self.parts}
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    @property
    def label(self) -> str:
        """The inputs as JSON, for the image's label, with digests cut to 12 hex digits."""
        short = {name: text[:SHORT] for name, text in self.parts.items()}
        return json.dumps(short, sort_keys=True, separators=(",", ":"))

    def changed_since(self, label: str) -> list[str]:
        """The names of the inputs that differ from those in an image's label."""
        try:
            before = parsed(label)
        except ValueError:
            before = None
        if not isinstance(before, dict):
            return ["inputs that are not known"]
        now: dict[str, str] = json.loads(self.label)
        names = before.keys() | now.keys()
        return sorted(name for name in names if before.get(name) != now.get(name))


def inputs_of(
    dockerfile: str,
    rootfs: Path,
    base: str,
    sources: Mapping[str, str],
    build_args: Mapping[str, str],
    labels: Mapping[str, str],
    compression: str,
    annotations: Mapping[str, str],
) -> Inputs:
    """The inputs of one cell.

    Args:
        dockerfile: the rendered text.
        rootfs: the build context.
        base: what the image is built on: the reference with its digest, the context that
            replaces it, or the reference alone where no digest is known.
        sources: what replaces or pins each source stage: a commit, or a context.
        build_args: arguments of the Dockerfile.
        labels: labels that are set beside the Dockerfile's.
        compression: of the layers, in words of its own: an image is known by its compressed layers.
        annotations: of the manifest.

    Raises:
        InputError: a folder that goes in cannot be read.
    """
    parts = {"dockerfile": _digest(dockerfile), "base": _content(base)}
    parts["compression"] = _digest(compression)
    # One input: each of them is a label as well, which names the change.
    parts["annotations"] = _digest(json.dumps(annotations, sort_keys=True))
    parts |= {f"rootfs/{name}": digest for name, digest in _read_once(rootfs)}
    parts |= {f"source/{name}": _content(context) for name, context in sources.items()}
    parts |= {f"argument/{name}": _digest(value) for name, value in build_args.items()}
    parts |= {f"label/{name}": _digest(value) for name, value in labels.items()}
    return Inputs(parts)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _content(context: str) -> str:
    """What a context stands for: a folder's content, else the digest of its own text.

    A git address with a commit, an image with a digest or the tag of a stand-in name their content.
    """
    if "://" in context or not Path(context).is_dir():
        return _digest(context)
    whole = hashlib.sha256()
    for name, digest in _read_once(Path(context)):
        whole.update(f"{name}\0{digest}\n".encode())
    return whole.hexdigest()


@cache
def _read_once(folder: Path) -> list[tuple[str, str]]:
    """The files of a folder; once in a run, in which ten thousand cells can share them."""
    return files_of(folder)


def files_of(folder: Path) -> list[tuple[str, str]]:
    """Each file below a folder, by its path with `/`, and a digest of its kind and content.

    Of a file's mode only whether its owner may execute it counts: the rest follows the umask of
    whoever checked it out. Sorted by the path's bytes.

    Raises:
        InputError: a file cannot be read, is none (a pipe, say), or has a name that no build can
            take.
    """
    try:
        found = [(name, _file_digest(path)) for name, path in _walk(folder, "")]
    except OSError as error:
        raise InputError(
            f"{error.filename}: cannot read it for the build id ({error.strerror})"
        ) from None
    return sorted(found, key=lambda entry: entry[0].encode())


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in _NEVER_READ:
                continue
            name = f"{prefix}{entry.name}"
            if not _is_utf8(name):
                raise InputError(
                    f"{entry.path!a}: BuildKit takes no file whose name is not UTF-8: rename it"
                )
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), f"{name}/")
            else:
                yield name, Path(entry.path)


def _file_digest(path: Path) -> str:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return hashlib.sha256(b"link\0" + os.fsencode(path.readlink())).hexdigest()
    if not stat.S_ISREG(status.st_mode):
        # Opening a pipe would wait for whoever writes to it.
        raise InputError(
            f"{path}: what is built from holds files, folders and links, and this is a pipe, a "
            "socket or a device: move it elsewhere"
        )
    kind = "program" if status.st_mode & stat.S_IXUSR else "file"
    content = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            content.update(chunk)
    return _digest(f"{kind}\0{content.hexdigest()}")


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
