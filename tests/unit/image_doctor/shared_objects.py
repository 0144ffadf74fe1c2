"""Writes small shared objects for x86-64 Linux that the dynamic loader really loads.

They stand in for compiled libraries where no compiler is: needs, a search path, at most one
function, and at most one .hip_fatbin section.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

_DT_NEEDED, _DT_HASH, _DT_STRTAB, _DT_SYMTAB = 1, 4, 5, 6
_DT_STRSZ, _DT_SYMENT, _DT_SONAME, _DT_RUNPATH = 10, 11, 14, 29
_TEXT, _DYNAMIC = 0x100, 0x200


def write(
    path: Path,
    *,
    needs: Sequence[str] = (),
    runpath: str | None = None,
    soname: str | None = None,
    hip_version: int | None = None,
    fatbin: bytes | None = None,
    emulator_version: str | None = None,
) -> Path:
    """Write a shared object; `hip_version` is what its hipRuntimeGetVersion answers,
    `emulator_version` what its hsa_standin_version does; one of the two."""
    strings = bytearray(b"\0")

    def place(text: str) -> int:
        strings.extend(text.encode() + b"\0")
        return len(strings) - len(text) - 1

    dynamic = [(_DT_NEEDED, place(name)) for name in needs]
    if soname:
        dynamic.append((_DT_SONAME, place(soname)))
    if runpath:
        dynamic.append((_DT_RUNPATH, place(runpath)))
    symbols = bytes(24)
    code = b""
    if hip_version is not None:
        name = place("hipRuntimeGetVersion")
        # mov dword [rdi], version; xor eax, eax; ret
        code = b"\xc7\x07" + struct.pack("<I", hip_version) + b"\x31\xc0\xc3"
        symbols += struct.pack("<IBBHQQ", name, 0x12, 0, 1, _TEXT, len(code))
    if emulator_version is not None:
        name = place("hsa_standin_version")
        # lea rax, [rip + 1]; ret; the text
        code = b"\x48\x8d\x05\x01\0\0\0\xc3" + emulator_version.encode() + b"\0"
        symbols += struct.pack("<IBBHQQ", name, 0x12, 0, 1, _TEXT, len(code))
    count = len(symbols) // 24
    chain = [0] * count
    hashes = struct.pack(f"<{3 + count}I", 1, count, count - 1, *chain)
    tables = _DYNAMIC + 16 * (len(dynamic) + 6)
    at_symbols, at_hashes = tables, tables + len(symbols)
    at_strings = at_hashes + len(hashes)
    dynamic += [
        (_DT_HASH, at_hashes),
        (_DT_STRTAB, at_strings),
        (_DT_SYMTAB, at_symbols),
        (_DT_STRSZ, len(strings)),
        (_DT_SYMENT, 24),
        (0, 0),
    ]
    loaded = bytearray(_DYNAMIC)
    loaded[_TEXT : _TEXT + len(code)] = code
    for entry in dynamic:
        loaded += struct.pack("<QQ", *entry)
    loaded += symbols + hashes + strings
    loaded.extend(bytes(-len(loaded) % 4096))
    size = len(loaded)
    rest = fatbin or b""
    names = b"\0.hip_fatbin\0.shstrtab\0"
    sections = [bytes(64)]
    if fatbin is not None:
        sections.append(_section(1, 1, size, len(rest), 4096))
    sections.append(_section(13, 3, size + len(rest), len(names), 1))
    at_sections = size + len(rest) + len(names)
    loaded[:64] = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, at_sections, 0, 64, 56, 2, 64, len(sections),
        len(sections) - 1,
    )  # fmt: skip
    loaded[64:120] = struct.pack("<IIQQQQQQ", 1, 7, 0, 0, 0, size, size, 4096)
    length = 16 * len(dynamic)
    loaded[120:176] = struct.pack(
        "<IIQQQQQQ", 2, 6, _DYNAMIC, _DYNAMIC, _DYNAMIC, length, length, 8
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(loaded) + rest + names + b"".join(sections))
    return path


def _section(name: int, kind: int, offset: int, size: int, alignment: int) -> bytes:
    return struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, offset, size, 0, 0, alignment, 0)
