"""What a stage wrote becomes layers: each file in one of them, none of which holds the whole."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.recipe.render import render

PARTS = Path(__file__).resolve().parents[3] / "templates" / "parts"
SECOND = 946_684_802
PACKAGES = "opt/venv/lib/python3.10/site-packages"
MIB = 1 << 20


@pytest.fixture
def split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script of the build, on a folder in place of an image's root."""
    spec = importlib.util.spec_from_file_location("split", PARTS / "split.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(SECOND - 2))
    monkeypatch.setenv("STAGE_SECOND", "2")
    return module


def write(file: Path, content: str, date: int = SECOND) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    os.utime(file, (date, date))
    return file


def test_every_file_that_a_stage_wrote_is_in_one_layer_and_no_other_file_is(
    split: ModuleType, tmp_path: Path
) -> None:
    torch, share = tmp_path / PACKAGES / "torch", tmp_path / "opt/venv/share"
    kept = write(torch / "kept.py", "kept", date=1)
    write(torch / "changed.py", "old", date=1)
    gone = write(tmp_path / PACKAGES / "old/gone.py", "gone", date=1)
    folder = write(share / "now-a-file/x", "x", date=1).parent
    split.note()
    write(torch / "changed.py", "new")
    shutil.rmtree(gone.parent)
    shutil.rmtree(folder)
    write(folder, "a file")
    program = write(tmp_path / "opt/venv/bin/new", "program")
    program.chmod(0o755)
    program.parent.chmod(0o750)
    link = program.with_name("link")
    link.symlink_to("new")
    os.utime(link, (SECOND, SECOND), follow_symlinks=False)
    (tmp_path / "opt/empty").mkdir()
    split.split("deps", 3)
    found: dict[str, Path] = {}
    for part in ("1", "2", "3"):
        layer = tmp_path / "layers/deps" / part
        for path in layer.rglob("*"):
            if path.is_symlink() or not path.is_dir() or not any(path.iterdir()):
                assert found.setdefault(str(path.relative_to(layer)), path) == path
    assert found.keys() == {
        f"{PACKAGES}/torch/changed.py",
        "opt/venv/share/now-a-file",
        "opt/venv/bin/new",
        "opt/venv/bin/link",
        "opt/empty",
    }
    assert kept.is_file()
    new = found["opt/venv/bin/new"]
    assert (new.stat().st_mode & 0o777, new.parent.stat().st_mode & 0o777) == (0o755, 0o750)
    assert found["opt/venv/bin/link"].readlink() == Path("new")
    removed = (tmp_path / "layers/deps/removed").read_text().split("\0")
    assert removed == [f"/{PACKAGES}/old", ""]


def test_a_file_of_a_stage_below_is_not_new_for_being_linked(
    split: ModuleType, tmp_path: Path
) -> None:
    # BuildKit links the files of linked layers while other builds run: their ctime is then now.
    below = write(tmp_path / "opt/below", "as it was", date=SECOND - 1)
    same = write(tmp_path / "opt/same-stage", "as it was")
    split.note()
    for file in (below, same):
        os.link(file, tmp_path.parent / f"{file.name}-elsewhere")
    split.split("server", 1)
    assert list((tmp_path / "layers/server/1").iterdir()) == []


def test_a_new_file_is_the_stage_s_whatever_its_date(split: ModuleType, tmp_path: Path) -> None:
    write(tmp_path / "opt/larger", "x", date=SECOND)
    split.note()
    write(tmp_path / "opt/old", "from an archive", date=1)
    write(tmp_path / "opt/larger", "xx", date=SECOND)
    split.split("server", 1)
    found = {path.name for path in (tmp_path / "layers/server/1/opt").iterdir()}
    assert found == {"old", "larger"}


@pytest.fixture
def clock(project_matrix: Matrix, tmp_path: Path) -> str:
    """The part of `clock` that dates what a step wrote, for a folder in place of the root."""
    _, text = next(render(project_matrix, cells_of(project_matrix)))
    script = text[text.index("<<'CLOCK' /clock\n") :].partition("\n")[2].partition("\nCLOCK\n")[0]
    assert script.count("find / -xdev") == 1
    return script.replace("find / -xdev", f"find {tmp_path} -xdev").replace(
        "/dev/shm/begun", str(tmp_path.parent / "begun")
    )


def test_the_clock_dates_what_a_step_wrote_and_no_file_that_was_only_linked(
    clock: str, tmp_path: Path
) -> None:
    linked = write(tmp_path / "linked", "of a layer below", date=SECOND)
    before, after = (write(tmp_path / name, name, date=SECOND) for name in ("before", "after"))
    step = f"""set -eu
export STAGE_SECOND=3
{clock}
ln {linked} {tmp_path.parent}/elsewhere
echo written > {tmp_path}/new
echo more >> {after}
touch -d @946684799 {before}
"""
    subprocess.run(["bash", "-c", step], check=True, timeout=60)
    dates = {path.name: int(path.stat().st_mtime) for path in tmp_path.iterdir()}
    assert dates == {
        "linked": SECOND,
        "before": 946684803,
        "new": 946684803,
        "after": 946684803,
    }


def test_all_names_of_a_file_are_one_file_in_one_layer_and_count_once(
    split: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # As `rocm-sdk init` leaves the SDK. The second package would go into another layer.
    split.note()
    packages = tmp_path / PACKAGES
    names = ["_rocm_sdk_core/lib.so", "_rocm_sdk_devel/bin/clang++", "_rocm_sdk_devel/lib.so"]
    write(packages / names[0], "x" * 1_000_000)
    for name in names[1:]:
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(packages / names[0], packages / name)
    link = packages / "link"
    link.symlink_to("nowhere")
    os.link(link, packages / "same", follow_symlinks=False)
    os.utime(link, (SECOND, SECOND), follow_symlinks=False)
    split.split("sdk", 8)
    found = [list((tmp_path / "layers/sdk").glob(f"*/{PACKAGES}/{name}")) for name in names]
    assert [len(paths) for paths in found] == [1, 1, 1]
    assert {(path.stat().st_ino, path.stat().st_nlink) for (path,) in found} == {
        (found[0][0].stat().st_ino, 3)
    }
    assert len({path.relative_to(tmp_path).parts[2] for (path,) in found}) == 1
    (same,) = (path for path in (tmp_path / "layers/sdk").rglob("*") if path.name == "same")
    assert (same.is_symlink(), same.lstat().st_nlink) == (True, 2)
    assert capsys.readouterr().out.count(": 1.0 MB") == 1


def test_what_became_another_kind_is_not_removed_after_it_came(
    split: ModuleType, tmp_path: Path
) -> None:
    share = tmp_path / "opt/share"
    write(share / "file", "x", date=1)
    write(share / "folder/inside/x", "x", date=1)
    write(share / "led/inside", "x", date=1)
    (share / "link").symlink_to("folder")
    write(share / "gone/inside", "x", date=1)
    split.note()
    for name in ("folder", "led", "gone"):
        shutil.rmtree(share / name)
    for name in ("file", "link"):
        (share / name).unlink()
    write(share / "file/inside", "x")
    write(share / "link/inside", "x")
    write(share / "folder", "x")
    # Whoever removed `led/inside` now would remove what it leads to.
    (share / "led").symlink_to("link")
    split.split("deps", 1)
    removed = (tmp_path / "layers/deps/removed").read_text().split("\0")
    assert removed == ["/opt/share/gone", ""]


def test_mode_and_capabilities_are_given_after_the_owner(
    split: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file's capabilities are an extended attribute, which the kernel takes away with its owner.
    split.note()
    program = write(tmp_path / "opt/bin/ping", "program")
    program.chmod(0o4755)
    order: list[str] = []
    chown, copystat = os.chown, shutil.copystat

    def owner(path: Path, *ids: int, **options: bool) -> None:
        chown(path, *ids, **options)
        order.append("owner")

    def attributes(source: Path, target: Path, **options: bool) -> None:
        copystat(source, target, **options)
        order.append("attributes")

    monkeypatch.setattr(os, "chown", owner)
    monkeypatch.setattr(shutil, "copystat", attributes)
    split.split("deps", 1)
    assert order == ["owner", "attributes"] * 3
    assert (tmp_path / "layers/deps/1/opt/bin/ping").stat().st_mode & 0o7777 == 0o4755


def layers(split: ModuleType, sizes: Mapping[str, int]) -> list[set[str]]:
    """The files of each of four layers, below site-packages."""
    found: list[set[str]] = [set(), set(), set(), set()]
    for path, part in split.sorted_into(
        4, {f"{PACKAGES}/{p}": n for p, n in sizes.items()}
    ).items():
        found[part - 1].add(path.removeprefix(f"{PACKAGES}/"))
    return found


LARGE = {f"large_{index}/lib.so": (20 + index) * MIB for index in range(9)}
SMALL = {f"small_{index}/a.py": 1000 * index for index in range(200)}


def test_a_package_stays_whole_and_the_layers_are_of_one_size(split: ModuleType) -> None:
    sizes = {**LARGE, "large_1-2.0.dist-info/RECORD": 1, "large_1.libs/libc.so": 2, **SMALL}
    found = layers(split, sizes)
    (layer,) = (names for names in found if "large_1/lib.so" in names)
    assert {"large_1-2.0.dist-info/RECORD", "large_1.libs/libc.so"} <= layer
    loads = [sum(sizes[name] for name in layer) for layer in found]
    assert max(loads) < 2 * min(loads)


def test_a_package_that_is_replaced_leaves_the_other_layers_as_they_are(split: ModuleType) -> None:
    replaced = {"large_3/lib.so": 24 * MIB, "small_7/a.py": 9 * MIB, "added/a.py": 5}
    after = layers(split, {**LARGE, **SMALL, **replaced})
    assert [names - {"added/a.py"} for names in after] == layers(split, {**LARGE, **SMALL})


def test_what_is_larger_than_a_layer_is_taken_apart_by_file(split: ModuleType) -> None:
    # As AITER is: hundreds of libraries, and thousands of sources.
    sizes = {f"aiter/jit/module_{index}.so": (10 + index % 40) * MIB for index in range(100)}
    sizes |= {f"aiter_meta/{index}.h": 10_000 for index in range(4000)}
    loads = [sum(sizes[name] for name in layer) for layer in layers(split, sizes)]
    assert sum(loads) > 2 * split.BOUND
    assert max(loads) < split.BOUND


def test_a_layer_above_the_bound_is_told(
    split: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(split, "BOUND", 10)
    split.note()
    write(tmp_path / PACKAGES / "huge.py", "x" * 11)
    split.split("deps", 2)
    said = sorted(line.partition(", ")[2] for line in capsys.readouterr().out.splitlines())
    assert said == ["", "more than a layer is to have: give it more parts"]
