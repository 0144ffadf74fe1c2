"""Each input that matters changes the build id, and nothing else does."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from rocm_images.errors import InputError
from rocm_images.recipe.build_id import Inputs, files_of, inputs_of


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    folder = tmp_path / "rootfs"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "program").write_text("#!/bin/sh\n")
    (folder / "bin" / "program").chmod(0o755)
    (folder / "data").write_text("data")
    (folder / "link").symlink_to("data")
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "code.py").write_text("x = 1\n")
    return folder


def inputs(rootfs: Path, source: Path, **changes: object) -> Inputs:
    values: dict[str, object] = {
        "dockerfile": "FROM x\n",
        "base": "image@sha256:00",
        "sources": {"sglang-src": "https://example.org/x.git#v1", "aiter-src": str(source)},
        "build_args": {"MAX_JOBS": "8"},
        "labels": {"stand-in": "base"},
        "compression": "zstd:3",
        "annotations": {"title": "a"},
        **changes,
    }
    return inputs_of(rootfs=rootfs, **values)  # type: ignore[arg-type]


def test_the_build_id_is_the_same_everywhere(rootfs: Path, source: Path) -> None:
    # Computed once and written down: another platform or Python version must agree.
    expected = "f7e51efae5865e679786ddbaf48a4a6578d4a734291390bf4a26d7a6b3dbbaa2"
    assert inputs(rootfs, source).build_id == expected


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"dockerfile": "FROM y\n"}, "dockerfile"),
        ({"base": "image@sha256:01"}, "base"),
        ({"sources": {"sglang-src": "https://example.org/x.git#v2"}}, "source/sglang-src"),
        ({"build_args": {"MAX_JOBS": "9"}}, "argument/MAX_JOBS"),
        ({"build_args": {}}, "argument/MAX_JOBS"),
        ({"labels": {}}, "label/stand-in"),
        ({"compression": "zstd:9"}, "compression"),
        ({"compression": "gzip"}, "compression"),
        ({"annotations": {"title": "b"}}, "annotations"),
    ],
)
def test_each_input_changes_it_and_is_named(
    rootfs: Path, source: Path, changes: dict[str, object], named: str
) -> None:
    before, after = inputs(rootfs, source), inputs(rootfs, source, **changes)
    assert before.build_id != after.build_id
    assert named in after.changed_since(before.label)


def change_content(rootfs: Path) -> None:
    (rootfs / "data").write_text("other")


def make_executable(rootfs: Path) -> None:
    (rootfs / "data").chmod(0o755)


def retarget_link(rootfs: Path) -> None:
    (rootfs / "link").unlink()
    (rootfs / "link").symlink_to("bin/program")


def add_file(rootfs: Path) -> None:
    (rootfs / "new").write_text("")


def rename_file(rootfs: Path) -> None:
    (rootfs / "data").rename(rootfs / "renamed")


def remove_file(rootfs: Path) -> None:
    (rootfs / "data").unlink()


@pytest.mark.parametrize(
    "change", [change_content, make_executable, retarget_link, add_file, rename_file, remove_file]
)
def test_each_change_of_rootfs_changes_it(rootfs: Path, source: Path, change: object) -> None:
    before = inputs(rootfs, source)
    assert callable(change)
    # Another folder, because the content of one is read only once in a run.
    changed = shutil.copytree(rootfs, rootfs.with_name("changed"), symlinks=True)
    change(changed)
    after = inputs(changed, source)
    assert before.build_id != after.build_id
    assert all(name.startswith("rootfs/") for name in after.changed_since(before.label))


def test_a_change_in_a_source_folder_changes_it(rootfs: Path, tmp_path: Path) -> None:
    # Two folders, because the content of one is read only once in a run.
    ids = set()
    for content in ("x = 1\n", "x = 2\n"):
        folder = tmp_path / f"checkout-{len(ids)}"
        folder.mkdir()
        (folder / "code.py").write_text(content)
        ids.add(inputs(rootfs, folder).build_id)
    assert len(ids) == 2


def test_time_place_mode_bits_and_caches_do_not_change_it(
    rootfs: Path, source: Path, tmp_path: Path
) -> None:
    before = inputs(rootfs, source).build_id
    moved = tmp_path / "elsewhere"
    shutil.copytree(rootfs, moved / "rootfs", symlinks=True)
    shutil.copytree(source, moved / "source")
    os.utime(moved / "rootfs" / "data", (1, 1))
    (moved / "rootfs" / "data").chmod(0o660)
    (moved / "source" / ".git").mkdir()
    (moved / "source" / ".git" / "HEAD").write_text("ref")
    (moved / "rootfs" / "__pycache__").mkdir()
    (moved / "rootfs" / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert inputs(moved / "rootfs", moved / "source").build_id == before


def test_nothing_changed_names_nothing(rootfs: Path, source: Path) -> None:
    one = inputs(rootfs, source)
    assert one.changed_since(one.label) == []
    assert json.loads(one.label)["dockerfile"] == one.parts["dockerfile"][:12]


@pytest.mark.parametrize("label", ["not json", "[]", "7", "null", '"a"', "[" * 100_000, "[NaN]"])
def test_a_label_that_cannot_be_read_is_said_so(rootfs: Path, source: Path, label: str) -> None:
    assert inputs(rootfs, source).changed_since(label) == ["inputs that are not known"]


def test_files_are_listed_in_one_order_on_every_machine(rootfs: Path) -> None:
    assert [name for name, _ in files_of(rootfs)] == ["bin/program", "data", "link"]


def test_a_folder_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read it for the build id"):
        files_of(tmp_path / "absent")


def test_a_large_file_is_not_read_whole(tmp_path: Path) -> None:
    large = 256 << 20
    with (tmp_path / "weights").open("wb") as file:
        file.truncate(large)
    tracemalloc.start()
    ((_, first),) = files_of(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
    with (tmp_path / "weights").open("r+b") as file:
        file.seek(large - 1)
        file.write(b"x")
    assert files_of(tmp_path) != [("weights", first)]


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(path))


@pytest.mark.parametrize("make", [_pipe, _socket])
def test_what_is_no_file_is_refused_and_never_waited_for(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "one")
    with pytest.raises(InputError, match="one: what is built from holds files, folders and links"):
        files_of(tmp_path)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_name_that_no_build_can_take_is_refused_as_a_readable_text(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9")
    path.mkdir() if kind == "folder" else path.touch()
    with pytest.raises(InputError, match=r"caf\\udce9.*is not UTF-8: rename it") as caught:
        files_of(tmp_path)
    str(caught.value).encode()


def test_a_link_may_lead_to_a_name_of_any_bytes(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(os.fsdecode(b"caf\xe9"))
    assert [name for name, _ in files_of(tmp_path)] == ["link"]
