"""A bundle's file is somebody else's: what it claims, and what fails while it is open."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from made_up_catalogue import FIRST, entry
from rocm_images.build.site import RealSite
from rocm_images.catalogue.file import text_of
from rocm_images.catalogue.merge import merged
from rocm_images.catalogue.signed import Signed
from rocm_images.distributing import arrive
from rocm_images.distributing import bundle as bundles
from rocm_images.distributing.bundle import Bundle, opened
from rocm_images.distributing.verbs import publish_bundle
from rocm_images.errors import InputError, VerificationFailed
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.plan.selection import Choice
from rocm_images.registry import place
from rocm_images.registry.place import Who

DOCUMENT = json.dumps({"schema": 2, "channel": "preview", "images": []}).encode()
HOLE = 64 * 1024 * 1024
BLOB = f"blobs/sha256/{hashlib.sha256(bytes(HOLE)).hexdigest()}"


def bundle(path: Path, *more: bytes) -> Path:
    """A good bundle, and raw members after what is good."""
    entry = tarfile.TarInfo("bundle.json")
    entry.size = len(DOCUMENT)
    padding = bytes(-len(DOCUMENT) % 512)
    path.write_bytes(b"".join((entry.tobuf(), DOCUMENT, padding, *more, bytes(1024))))
    return path


def sparse_of_gnu() -> bytes:
    """A hole as `tar --sparse --format=gnu` writes it."""
    header = bytearray(tarfile.TarInfo(BLOB).tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    # Where the pieces are is from 386 on; how large the whole is, from 483.
    header[386:410] = b"%011o\0%011o\0" % (HOLE, 0)
    header[483:495] = b"%011o\0" % HOLE
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    return bytes(header)


def sparse_of_pax() -> bytes:
    """A hole as `tar --sparse --format=pax` writes it."""
    content = b"1\n%d\n0\n" % HOLE
    entry = tarfile.TarInfo(BLOB)
    entry.size = 512
    entry.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": BLOB,
        "GNU.sparse.realsize": str(HOLE),
    }
    return entry.tobuf(tarfile.PAX_FORMAT) + content.ljust(512, b"\0")


def claim(size: str) -> Callable[[], bytes]:
    def made() -> bytes:
        entry = tarfile.TarInfo(BLOB)
        entry.pax_headers = {"size": size}
        return entry.tobuf(tarfile.PAX_FORMAT)

    return made


@pytest.mark.parametrize(
    "member",
    [sparse_of_gnu, sparse_of_pax, claim(str(1 << 40)), claim("-512"), claim("-5120")],
    ids=["sparse of GNU", "sparse of pax", "a terabyte", "less than nothing", "before the file"],
)
def test_a_member_that_claims_more_than_the_file_holds_is_refused(
    tmp_path: Path, member: Callable[[], bytes]
) -> None:
    path = bundle(tmp_path / "site.tar", member())
    with pytest.raises(InputError, match="is no whole bundle"), opened(path):
        pytest.fail("it was opened")
    assert [one.name for one in tmp_path.iterdir()] == ["site.tar"]


def test_what_is_whole_is_opened(tmp_path: Path) -> None:
    content = b"a blob"
    entry = tarfile.TarInfo(f"blobs/sha256/{hashlib.sha256(content).hexdigest()}")
    entry.size = len(content)
    member = entry.tobuf() + content.ljust(512, b"\0")
    with opened(bundle(tmp_path / "site.tar", member)) as found:
        assert found.channel == "preview"
        assert found.blob(f"sha256:{Path(entry.name).name}") == content


def test_what_fails_while_a_bundle_is_open_is_not_said_of_the_bundle(tmp_path: Path) -> None:
    path = bundle(tmp_path / "site.tar")
    for error in (ConnectionResetError("reset"), ValueError("of somebody else"), KeyError("x")):
        with pytest.raises(type(error)) as told, opened(path):
            raise error
        assert told.value is error
    assert [one.name for one in tmp_path.iterdir()] == ["site.tar"]


def test_what_fails_while_it_is_unpacked_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="cannot unpack"), opened(tmp_path / "none.tar"):
        pytest.fail("it was opened")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="it is no file"), opened(tmp_path / "pipe"):
        pytest.fail("it was opened")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = bundle(tmp_path / "site.tar")
    monkeypatch.setattr("rocm_images.distributing.bundle._unpack", full)
    with pytest.raises(InputError, match=r"No space left on device.*free space"), opened(path):
        pytest.fail("it was opened")
    assert {one.name for one in tmp_path.iterdir()} == {"pipe", "site.tar"}


def test_a_part_that_is_missing_is_named(tmp_path: Path) -> None:
    with opened(bundle(tmp_path / "site.tar")) as found:
        with pytest.raises(InputError, match=f"bundle@sha256:{'7' * 64} is missing"):
            found.blob(f"sha256:{'7' * 64}")
        assert found.manifest(f"sha256:{'7' * 64}") is None


def published(folder: Path, matrix: Path, **asked: Any) -> None:
    """As `publish --from` of a good bundle, with what else is asked."""
    publish_bundle(
        bundle(folder / "site.tar"),
        matrix_path=matrix,
        choice=Choice(),
        registry=None,
        ca_bundle=None,
        attempts=1,
        who=Who(identity="somebody", issuer="https://issuer.example.org"),
        site=RealSite(),
        output=folder,
        **asked,
    )


def test_a_bundle_of_another_channel_than_was_asked_for_is_refused(
    tmp_path: Path, matrix_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "place_of", lambda *_: None)
    with pytest.raises(InputError, match="is of the channel preview, and --channel stable"):
        published(tmp_path, matrix_file(), channel="stable")


@pytest.mark.parametrize(("cell", "fits"), [("sglang-942", True), ("vllm-942", False)])
def test_a_bundle_with_the_list_of_another_repository_is_refused_before_anything_arrives(
    tmp_path: Path,
    matrix_file: Callable[..., Path],
    project_matrix: Matrix,
    monkeypatch: pytest.MonkeyPatch,
    *,
    cell: str,
    fits: bool,
) -> None:
    found = next(one for one in cells_of(project_matrix) if one.name.startswith(cell))
    listed = text_of(merged(None, [entry(found)], FIRST)).encode()
    came: list[object] = []

    def arrives(*given: object, **_: object) -> SimpleNamespace:
        came.append(given)
        return SimpleNamespace(new=(), planned=())

    cosign = SimpleNamespace(verify_file=lambda *_: True)
    there = SimpleNamespace(cosign=cosign, repository=None, address="mirror.example.org")
    monkeypatch.setattr(place, "place_of", lambda *_: there)
    monkeypatch.setattr(Bundle, "catalogue", lambda _: Signed(listed, b"publisher"))
    monkeypatch.setattr(arrive, "arrive", arrives)
    expected = nullcontext() if fits else pytest.raises(VerificationFailed, match="somebody put")
    with expected:
        published(tmp_path, matrix_file(), dry_run=True)
    assert len(came) == fits


def test_a_file_that_is_written_or_unpacked_says_how_many_bytes_of_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    fars: list[Callable[[], str]] = []
    wait = SimpleNamespace(at=fars.append)
    monkeypatch.setattr(bundles, "waiting_for", lambda whom: nullcontext(wait))
    add, extract = tarfile.TarFile.addfile, tarfile.TarFile.extractfile

    def adds(archive: tarfile.TarFile, entry: tarfile.TarInfo, *more: Any) -> None:
        add(archive, entry, *more)
        told.append(fars[-1]())

    def extracts(archive: tarfile.TarFile, entry: Any) -> Any:
        told.append(fars[-1]())
        return extract(archive, entry)

    monkeypatch.setattr(tarfile.TarFile, "addfile", adds)
    monkeypatch.setattr(tarfile.TarFile, "extractfile", extracts)
    folder, path, place = tmp_path / "folder", tmp_path / "a.bundle", tmp_path / "place"
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    place.mkdir()
    (folder / "bundle.json").write_bytes(DOCUMENT)
    contents = sorted((bytes([one]) * 3_000_000 for one in b"ab"), key=hashes)
    for content in contents:
        (blobs / hashes(content)).write_bytes(content)
    bundles._pack(folder, path)
    bundles._unpack(path, place)
    assert [line.split(" of ")[1] for line in told] == ["6.0 MB"] * 6
    assert [line.split(" of ")[0] for line in told[1:3]] == ["3.0 MB", "6.0 MB"]
    assert [line.split(" of ")[0] for line in told[4:]] == [f"{len(DOCUMENT)} bytes", "3.0 MB"]


def hashes(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
