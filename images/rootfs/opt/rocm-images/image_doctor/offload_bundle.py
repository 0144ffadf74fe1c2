"""Reads the offload bundles of a HIP library's .hip_fatbin section.

The section holds one bundle a translation unit, each at a multiple of 4096, plain or compressed.
Source: https://clang.llvm.org/docs/ClangOffloadBundler.html, "Bundled Binary File Layout" and
"Compressed Format".
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import IO, NamedTuple, cast

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from image_doctor.amdgpu import EM_AMDGPU, gfx_of_entry, gfx_of_flags
from image_doctor.decompression import CannotDecompress, DamagedData, open_zlib, open_zstd

MAGIC = b"__CLANG_OFFLOAD_BUNDLE__"
COMPRESSED_MAGIC = b"CCOB"
_COUNT = struct.Struct("<Q")
_ENTRY = struct.Struct("<QQQ")  # offset of the code object, its size, size of the entry's id
# By version, behind magic (4), version (2) and method (2): file size, uncompressed size, hash.
# Version 1 has no file size.
_COMPRESSED_SIZES = {1: struct.Struct("<IQ"), 2: struct.Struct("<IIQ"), 3: struct.Struct("<QQQ")}
_ZLIB, _ZSTD = 0, 1  # llvm::compression::Format
_NOT_PADDING = re.compile(rb"[^\0]")
_ELF_HEADER_BYTES = 64
_ID_LIMIT = 4096
# A file claims what it likes. A bundle has an entry for each processor that it was compiled for; a
# library of these images a few thousand code objects, of some hundred megabytes.
_MOST_ENTRIES = 256
_MOST_OBJECTS = 1_000_000
_MOST_OPENED = 128 * 1024 * 1024
_MOST_OPENED_BY_ALL = 2 * 1024 * 1024 * 1024

Buffer = bytes | mmap.mmap


class CodeObject(NamedTuple):
    """One entry for a device: its id, the processor that the id names, and the ELF header's."""

    entry_id: str
    gfx: str | None
    elf_gfx: str | None


class DamagedBundle(Exception):
    """The section is not made of offload bundles; the message says where it stops being."""


def read_library(file: mmap.mmap) -> list[CodeObject]:
    """The code objects of a shared library, which need not have any.

    Raises DamagedBundle where the file or a bundle is broken, CannotDecompress where a bundle is
    compressed by something that this machine cannot open.
    """
    try:
        elf = ELFFile(cast(IO[bytes], file))
        if elf.num_sections() * max(elf["e_shentsize"], 1) > len(file):
            raise DamagedBundle("it claims more sections than it has room for")
        sections = [
            (section["sh_offset"], section["sh_size"])
            for section in elf.iter_sections()
            if section.name.startswith(".hip_fatbin")
        ]
    # elftools asks nothing before it believes what stands there.
    except (ELFError, ValueError, LookupError, ArithmeticError, TypeError, AttributeError) as error:
        raise DamagedBundle(f"it is no ELF file: {error}") from None
    if any(offset + size > len(file) for offset, size in sections):
        raise DamagedBundle("its .hip_fatbin section is cut off")
    if sum(size for _, size in sections) > len(file):
        raise DamagedBundle("its .hip_fatbin sections lie over each other")
    found: list[CodeObject] = []
    allowed = _Allowed(_MOST_OPENED_BY_ALL)
    for offset, size in sections:
        for one in _read_bundles(file, offset, offset + size, allowed):
            found.append(one)
            if len(found) > _MOST_OBJECTS:
                raise DamagedBundle(f"it holds more than {_MOST_OBJECTS} code objects")
    return found


@dataclass
class _Allowed:
    """How many bytes may still be decompressed of one library."""

    rest: int


def _read_bundles(data: Buffer, start: int, end: int, allowed: _Allowed) -> Iterator[CodeObject]:
    while (padding := _NOT_PADDING.search(data, start, end)) is not None:
        start = padding.start()
        if data[start : start + len(MAGIC)] == MAGIC:
            objects, start = _read_plain(data, start, end)
            yield from objects
        elif data[start : start + len(COMPRESSED_MAGIC)] == COMPRESSED_MAGIC:
            opened, start = _open_compressed(data, start, end, allowed)
            if not opened.startswith(MAGIC):
                raise DamagedBundle("a compressed bundle does not hold an offload bundle")
            yield from _read_plain(opened, 0, len(opened))[0]
        else:
            raise DamagedBundle(f"no offload bundle begins at byte {start} of the file")


def _read_plain(data: Buffer, start: int, end: int) -> tuple[list[CodeObject], int]:
    """The device entries of the bundle at `start`, and where the bundle ends."""
    try:
        (count,) = _COUNT.unpack_from(data, start + len(MAGIC))
        if count > _MOST_ENTRIES:
            raise DamagedBundle(f"the bundle at byte {start} claims {count} entries")
        at = start + len(MAGIC) + _COUNT.size
        found, last = [], at
        for _ in range(count):
            offset, size, id_size = _ENTRY.unpack_from(data, at)
            at += _ENTRY.size
            if id_size > _ID_LIMIT or start + offset + size > end:
                raise DamagedBundle(f"the bundle at byte {start} has an entry beyond its end")
            entry_id = data[at : at + id_size].decode("ascii", errors="replace")
            at += id_size
            last = max(last, at, start + offset + size)
            if not entry_id.startswith("host-"):
                header = data[start + offset : start + offset + min(size, _ELF_HEADER_BYTES)]
                found.append(CodeObject(entry_id, gfx_of_entry(entry_id), _elf_gfx(header)))
    except struct.error:
        raise DamagedBundle(f"the bundle at byte {start} is cut off") from None
    return found, last


def _elf_gfx(header: bytes) -> str | None:
    """The processor of an AMD GPU ELF header; None where it is none."""
    try:
        elf = ELFFile(BytesIO(header))
        flags: int = elf["e_flags"]
        return gfx_of_flags(flags) if elf["e_machine"] == EM_AMDGPU else None
    except (ELFError, struct.error, ValueError, LookupError, TypeError, AttributeError):
        return None


def _open_compressed(data: Buffer, start: int, end: int, allowed: _Allowed) -> tuple[bytes, int]:
    """What the compressed bundle at `start` holds, and where it ends.

    Its end is taken from its header: compressed bytes can look like the next bundle's magic.
    """
    try:
        version, method = struct.unpack_from("<HH", data, start + len(COMPRESSED_MAGIC))
        if version not in _COMPRESSED_SIZES:
            raise CannotDecompress(f"version {version} of compressed bundles is not known here")
        sizes = _COMPRESSED_SIZES[version]
        fields = sizes.unpack_from(data, start + 8)
    except struct.error:
        raise DamagedBundle(f"the compressed bundle at byte {start} is cut off") from None
    header = 8 + sizes.size
    total = fields[0] if version > 1 else end - start
    if not header < total <= end - start:
        raise DamagedBundle(f"the compressed bundle at byte {start} has a wrong size")
    # No compressed bundle of a compiler's is larger than what it holds.
    if max(total, fields[-2]) > _MOST_OPENED:
        raise CannotDecompress(f"a bundle claims {fields[-2]} bytes, too many to look into")
    allowed.rest -= fields[-2]
    if allowed.rest < 0:
        raise CannotDecompress("its bundles claim too many bytes to look into")
    payload = data[start + header : start + total]
    if method not in (_ZLIB, _ZSTD):
        raise CannotDecompress(f"compression method {method} is not known here")
    try:
        opened = (open_zstd if method == _ZSTD else open_zlib)(payload, fields[-2])
    except DamagedData as error:
        raise DamagedBundle(f"the compressed bundle at byte {start} is damaged: {error}") from None
    return opened, start + total
