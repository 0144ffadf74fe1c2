"""A file that is large, or claims to be, is refused for little memory and in little time.

Each case is a process of its own with a limit of 500 MB of memory; test_files_of_others.py has the
table of all formats.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import shared_objects
from made_up_image import MadeUpImage
from rocm_images.errors import ExitCode

PROJECT = Path(__file__).parents[3]
PACKAGES = PROJECT / "images" / "rootfs" / "opt" / "rocm-images"
MEMORY = 500 * 1024 * 1024
SECONDS = 20
GIGABYTE = 1 << 30
BAD, INVALID = ExitCode.BAD_INPUT, ExitCode.EVIDENCE_INVALID


def sparse(path: Path, size: int = GIGABYTE) -> Path:
    """A file that is large and takes no space."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def run(code: str, *words: str, rounds: int = 1) -> str:
    """What Python code prints in a process with little memory; it ends with 0."""
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED + code, str(MEMORY), *words],
        capture_output=True,
        text=True,
        timeout=rounds * SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# In the process itself: what subprocess runs between fork and exec may meet locks of threads.
_LIMITED = f"""
import json, resource, sys
from pathlib import Path
most = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_DATA, (most, most))
sys.path[:0] = {[str(PROJECT), str(PACKAGES), str(Path(__file__).parent)]!r}
"""
_ENDS = """
from verbs import ends
for words, code in json.loads(sys.argv[1]):
    print(ends(*words, codes=(code,)).told)
"""


def all_end(cases: Sequence[tuple[Sequence[str], ExitCode]]) -> str:
    """Each verb with its words ends in a sentence and its exit code; what they told."""
    return run(_ENDS, json.dumps(cases), rounds=len(cases))


CONTENTS: dict[str, Callable[[Path], Path]] = {
    "a sparse gigabyte": sparse,
    "a gigabyte of spaces is no document": lambda path: written(path, b" " * (48 << 20)),
    "empty lists": lambda path: written(path, b"[" + b"[]," * (10 << 20) + b"[]]"),
    "empty objects": lambda path: written(path, b"[" + b"{}," * (10 << 20) + b"{}]"),
    "numbers": lambda path: written(path, b'{"schema": 2, "images": [' + b"1," * 900_000 + b"1]}"),
    "strings": lambda path: written(path, b'{"schema": 1, "cells": [' + b'"",' * 900_000 + b'""]}'),
    "keys": lambda path: written(
        path, json.dumps({"schema": 2, **{f"k{n}": n for n in range(300_000)}}).encode()
    ),
    "brackets": lambda path: written(path, b"[" * (16 << 20)),
    "objects in objects": lambda path: written(path, b'{"a":' * (2 << 20)),
    "a number without end": lambda path: written(path, b'{"schema": ' + b"9" * (16 << 20) + b"}"),
    "an exponent": lambda path: written(path, b'{"schema": 1e999999999}'),
}
READ = {"numbers", "strings", "keys"}


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


VERBS: dict[str, tuple[Callable[[str], list[str]], ExitCode]] = {
    "catalogue": (lambda path: ["pick", "--unverified", "--arch", "942", "--catalogue", path], BAD),
    "evidence": (lambda path: ["evidence", "verify", path], INVALID),
    "sbom": (lambda path: ["release-notes", path, path], BAD),
    "summary": (lambda path: ["summary", path], BAD),
    "matrix": (lambda path: ["plan", "--matrix", path], BAD),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_document(tmp_path: Path, verb: str) -> None:
    words, code = VERBS[verb]
    files = {name: make(tmp_path / f"{n}.json") for n, (name, make) in enumerate(CONTENTS.items())}
    # Whatever can be read, and has no seal, never was evidence; of the rest nobody knows.
    codes = {name: BAD if verb == "evidence" and name in READ else code for name in files}
    all_end([(words(str(path)), codes[name]) for name, path in files.items()])


@pytest.mark.parametrize("verb", VERBS)
def test_what_has_no_end_is_no_document(tmp_path: Path, verb: str) -> None:
    words, code = VERBS[verb]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    all_end([(words(path), code) for path in ("/dev/zero", str(pipe))])


BOMBS = {
    "aliases": "a0: &a0 [x, x]\n"
    + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}, *a{n}, *a{n}]\n" for n in range(40)),
    "unknown keys": "".join(f"key{n}: x\n" for n in range(60_000)),
    "keys that stand there twice": "a: x\n" * 90_000,
    "unknown keys of one advisory": "advisories:\n- id: a\n"
    + "".join(f"  symptm{n}: x\n" for n in range(60_000)),
}


@pytest.mark.parametrize("name", ["matrix.yaml", "matrix.lock"])
def test_a_yaml_bomb(tmp_path: Path, name: str) -> None:
    cases = []
    for number, bomb in enumerate(BOMBS.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copy(PROJECT / "matrix.yaml", folder)
        (folder / name).write_text(bomb)
        cases.append((["plan", "--matrix", str(folder / "matrix.yaml")], BAD))
    all_end(cases)


_SECRETS = """
from rocm_images.engine.network import secrets_for
from rocm_images.errors import InputError
for path in map(Path, sys.argv[1:]):
    for given in ((path, None), (None, path)):
        try:
            secrets_for(*given, {})
        except InputError as error:
            print(error)
"""


def test_a_file_that_is_named_for_a_build(tmp_path: Path) -> None:
    told = run(_SECRETS, str(sparse(tmp_path / "sparse")), "/dev/zero").splitlines()
    assert [line.partition(":")[0] for line in told] == ["--ca-bundle", "--pip-config"] * 2


_CCOB = struct.Struct("<4sHHIIQ")


def ccob(claim: int, content: bytes, method: int = 0) -> bytes:
    size = _CCOB.size + len(content)
    return _CCOB.pack(b"CCOB", 2, method, size, claim & 0xFFFFFFFF, 0) + content


def with_sections(path: Path, count: int, size: int = 64) -> Path:
    """A library whose header names so many sections, each of them the one of the code objects."""
    content = bytearray(shared_objects.write(path, fatbin=b"\0" * 4096).read_bytes())
    (at,) = struct.unpack_from("<Q", content, 40)
    section = bytes(content[at + 64 : at + 128])
    strings = bytes(content[at + 128 : at + 192])
    content[at:] = bytes(64) + strings + section * min(count, 60_000)
    struct.pack_into("<HHH", content, 58, size, min(count, 0xFFFF), 1)
    path.write_bytes(content)
    return path


LIBRARIES: dict[str, Callable[[Path], object]] = {
    "a sparse gigabyte": sparse,
    "a bomb of zlib": lambda path: shared_objects.write(
        path, fatbin=ccob(1 << 30, zlib.compress(bytes(1 << 28), 9))
    ),
    "a bomb that claims four gigabytes": lambda path: shared_objects.write(
        path, fatbin=ccob(0xFFFFFFFF, zlib.compress(bytes(1 << 20)))
    ),
    "the claim of a zstd frame": lambda path: shared_objects.write(
        path, fatbin=ccob(0xFFFFFFFF, b"\x28\xb5\x2f\xfd" + bytes(64), 1)
    ),
    "many bombs": lambda path: shared_objects.write(
        path, fatbin=ccob(1 << 26, zlib.compress(bytes(1 << 26), 9)) * 600
    ),
    "entries without end": lambda path: shared_objects.write(
        path,
        fatbin=b"__CLANG_OFFLOAD_BUNDLE__" + struct.pack("<Q", 2**63) + bytes(24) * 2_000_000,
    ),
    "sections over each other": lambda path: with_sections(path, 60_000),
    "sections without size": lambda path: with_sections(path, 0xFFFF, 0),
}


_CODE_OBJECTS = """
from image_doctor.code_object_check import check_code_objects
from image_doctor.image import Image
for root in sys.argv[1:]:
    check = check_code_objects(Image(Path(root), {}))
    print(check.status.value, check.found)
"""


def test_a_shared_object(tmp_path: Path) -> None:
    roots = []
    for number, make in enumerate(LIBRARIES.values()):
        made = MadeUpImage(tmp_path / str(number))
        make(made.set_kernel("aiter/jit/odd.so", None))
        roots.append(str(made.root))
    told = run(_CODE_OBJECTS, *roots, rounds=len(roots)).splitlines()
    for name, line in zip(LIBRARIES, told, strict=True):
        assert line.startswith(("fail ", "warn ")), name
        assert "odd.so" in line, name


_DESCRIBED = """
from image_facts.description import FactsError, read
from graph_probe.image import known_facts
for path in map(Path, sys.argv[1:]):
    assert not known_facts({"GRAPH_PROBE_IMAGE_JSON": str(path)}).hip_builds
    try:
        print(f"read {read(path).cell}")
    except FactsError as error:
        print(error)
"""


def test_a_description(tmp_path: Path) -> None:
    files = [make(tmp_path / f"{n}.json") for n, make in enumerate(CONTENTS.values())]
    told = run(_DESCRIBED, *map(str, files), rounds=len(files))
    assert len(told.splitlines()) == len(files)


_EXAMINED = """
from image_doctor.command_line import main
for place in sys.argv[1:]:
    assert main(["variable", "--source", place]) == 1
"""


def test_a_source(tmp_path: Path) -> None:
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("sglang/__init__.py", b"# SGLANG_USE_AITER_AR\n" + bytes(1 << 26))
    places = [wheel]
    for source in ("-" * 100_000 + "1", "(" * 50_000, "a" + ".a" * 50_000, "x + " * 50_000 + "x"):
        package = tmp_path / str(len(places)) / "sglang"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"SGLANG_USE_AITER_AR = {source}\n")
        places.append(package.parent)
    told = run(_EXAMINED, *map(str, places), rounds=len(places))
    assert told.count("fail     all-reduce-variable: ") == len(places)


def bundle(path: Path, entries: dict[str, int | bytes]) -> Path:
    """A bundle of files by name; a number is a size that is claimed, of which nothing is there."""
    with path.open("wb") as file:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = content if isinstance(content, int) else len(content)
            file.write(entry.tobuf())
            if isinstance(content, bytes):
                file.write(content + bytes(-len(content) % 512))
        file.write(bytes(1024))
    return path


BLOB = f"blobs/sha256/{'ab' * 32}"
BUNDLES: dict[str, Callable[[Path], object]] = {
    "a blob that claims a terabyte": lambda path: bundle(path, {BLOB: 1 << 40}),
    "a document that claims a terabyte": lambda path: bundle(path, {"bundle.json": 1 << 40}),
    "a document of lists": lambda path: bundle(
        path, {"bundle.json": b"[" + b"[]," * (10 << 20) + b"[]]"}
    ),
    "a document of brackets": lambda path: bundle(path, {"bundle.json": b"[" * 100_000}),
    "a sparse gigabyte": sparse,
    "names without end": lambda path: written(
        path, b"".join(_long_name(n) for n in range(200)) + bytes(1024)
    ),
}


def _long_name(number: int) -> bytes:
    entry = tarfile.TarInfo("a" * 200_000 + str(number))
    return entry.tobuf(tarfile.GNU_FORMAT)


_OPENED = """
from rocm_images.distributing.bundle import opened
from rocm_images.errors import InputError, VerificationFailed
for path in map(Path, sys.argv[1:]):
    try:
        with opened(path):
            pass
    except (InputError, VerificationFailed) as error:
        print(error)
"""


def test_a_bundle(tmp_path: Path) -> None:
    files = []
    for number, make in enumerate(BUNDLES.values()):
        files.append(str(tmp_path / f"{number}.tar"))
        make(Path(files[-1]))
    told = run(_OPENED, *files, rounds=len(files)).splitlines()
    assert [line.partition(":")[0] for line in told] == ["--from"] * len(files)
    assert not [*tmp_path.glob(".bundle-*")]
