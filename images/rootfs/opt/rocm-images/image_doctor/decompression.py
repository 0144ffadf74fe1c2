"""Decompresses zlib and zstd data with what every image has: no package is needed for it."""

from __future__ import annotations

import ctypes
import zlib
from functools import cache


class CannotDecompress(Exception):
    """The data may be fine, but nothing here can open it; the message says what is missing."""


class DamagedData(Exception):
    """The data is not what it claims to be."""


def open_zlib(data: bytes, size: int) -> bytes:
    """The `size` bytes that `data` holds. Raises DamagedData."""
    try:
        opened = zlib.decompressobj().decompress(data, size + 1)
    except zlib.error as error:
        raise DamagedData(f"zlib says: {error}") from None
    return _of_size(opened, size)


def open_zstd(data: bytes, size: int) -> bytes:
    """The `size` bytes that the first zstd frame of `data` holds.

    Raises CannotDecompress where the machine has no libzstd, DamagedData.
    """
    library = _libzstd()
    if library is None:
        raise CannotDecompress("libzstd.so.1 is not installed")
    frame = library.ZSTD_findFrameCompressedSize(data, len(data))
    if library.ZSTD_isError(frame):
        raise DamagedData("zstd finds no whole frame")
    opened = ctypes.create_string_buffer(max(size, 1))
    written = library.ZSTD_decompress(opened, size, data, frame)
    if library.ZSTD_isError(written):
        raise DamagedData("zstd cannot open it")
    return _of_size(ctypes.string_at(opened, written), size)


def _of_size(opened: bytes, size: int) -> bytes:
    if len(opened) != size:
        raise DamagedData(f"it holds {len(opened)} bytes and claims {size}")
    return opened


@cache
def _libzstd() -> ctypes.CDLL | None:
    """libzstd through ctypes: Python has zstd only since 3.14, dpkg needs the library anyway."""
    try:
        library = ctypes.CDLL("libzstd.so.1")
    except OSError:
        return None
    library.ZSTD_findFrameCompressedSize.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    library.ZSTD_findFrameCompressedSize.restype = ctypes.c_size_t
    library.ZSTD_decompress.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_char_p,
        ctypes.c_size_t,
    ]
    library.ZSTD_decompress.restype = ctypes.c_size_t
    library.ZSTD_isError.argtypes = [ctypes.c_size_t]
    library.ZSTD_isError.restype = ctypes.c_uint
    return library
