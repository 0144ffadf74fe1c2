"""Names what differs between the layers of two images, file by file."""

from __future__ import annotations

import ctypes
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator
from typing import IO

import docker

_ZSTD = b"\x28\xb5\x2f\xfd"
_MOST_BYTES = 1 << 30


def differences(client: docker.DockerClient, one: str, other: str) -> list[str]:
    """A line for each thing that differs, as `layer 3: opt/venv/bin/pip: mtime 1 != 2`."""
    with (
        _saved(client, one) as first,
        _saved(client, other) as second,
        tarfile.open(fileobj=first) as left,
        tarfile.open(fileobj=second) as right,
    ):
        return list(_compare(left, right))


def _saved(client: docker.DockerClient, image: str) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    for chunk in client.images.get(image).save():
        file.write(chunk)
    file.seek(0)
    return file


def _compare(left: tarfile.TarFile, right: tarfile.TarFile) -> Iterator[str]:
    (left_config, left_layers), (right_config, right_layers) = map(_parts, (left, right))
    for name in left_config.keys() | right_config.keys():
        if left_config.get(name) != right_config.get(name):
            yield f"config: {name}: {left_config.get(name)} != {right_config.get(name)}"
    for index, (one, other) in enumerate(zip(left_layers, right_layers, strict=True)):
        if one != other:
            entries, others = _entries(left, one), _entries(right, other)
            for name in sorted(entries.keys() | others.keys()):
                if entries.get(name) != others.get(name):
                    yield f"layer {index}: {name}: {entries.get(name)} != {others.get(name)}"


def _parts(image: tarfile.TarFile) -> tuple[dict[str, object], list[str]]:
    [manifest] = json.loads(_read(image, "manifest.json"))
    return json.loads(_read(image, manifest["Config"])), manifest["Layers"]


def _read(archive: tarfile.TarFile, name: str | tarfile.TarInfo) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def _entries(image: tarfile.TarFile, layer: str) -> dict[str, tuple[object, ...]]:
    content = _read(image, layer)
    if content.startswith(_ZSTD):
        content = _unpacked(content)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {
            entry.name: (
                f"mtime {entry.mtime}",
                f"mode {entry.mode:o}",
                f"size {entry.size}",
                entry.linkname,
                hash(_read(archive, entry)) if entry.isreg() else "",
            )
            for entry in archive
        }


def _unpacked(content: bytes) -> bytes:
    """What a zstd frame holds, which does not say how much: Python has zstd only since 3.14."""
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_decompress.restype = ctypes.c_size_t
    size = 8 * len(content)
    while True:
        opened = ctypes.create_string_buffer(size)
        length, room = map(ctypes.c_size_t, (len(content), size))
        written = library.ZSTD_decompress(opened, room, content, length)
        if not library.ZSTD_isError(ctypes.c_size_t(written)):
            return opened.raw[:written]
        assert size < _MOST_BYTES, "it is no zstd frame"
        size *= 2
