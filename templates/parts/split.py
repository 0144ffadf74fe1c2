"""Sorts what a stage wrote into layers: `split.py before` as it begins, `split.py NAME PARTS` last.

Runs inside a build. /layers/NAME/1 to PARTS receive the files, /layers/NAME/removed the paths that
are gone. A layer is to stay as it is where the packages in it do: packages below 16 MiB are sorted
by a hash of their names, larger ones by size, and only what has above 256 MiB apart, by file.
"""

import os
import shutil
import stat
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

LARGE, APART, BOUND = 1 << 24, 1 << 28, 1 << 30
BEFORE, LAYERS = Path("before"), Path("layers")
ROOT = Path("/")


def walk(folder: str, skipped: set[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Each path below a folder, as `opt/venv` without a leading slash, in an order of its own."""
    with os.scandir(ROOT / folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = f"{folder}/{entry.name}".lstrip("/")
            if path in skipped:
                continue
            status = entry.stat(follow_symlinks=False)
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                yield from walk(path, skipped)


def everything() -> Iterator[tuple[str, os.stat_result]]:
    """What is in the image: no mount of the step, and nothing of this program's."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    mounts = {line.split()[4].lstrip("/") for line in lines}
    return walk("", mounts | {str(BEFORE), str(LAYERS)})


def unit_of(path: str) -> str:
    """What belongs together: an import package with its metadata; all that is none."""
    _, found, inside = path.partition("/site-packages/")
    return inside.split("/")[0].split("-")[0].split(".")[0].lower() if found else ""


def sorted_into(parts: int, sizes: dict[str, int]) -> dict[str, int]:
    """The part of each path, by what belongs together and its size."""
    names = {path: unit_of(path) for path in sizes}
    units = added(names, sizes)
    names |= {path: path for path, unit in names.items() if units[unit] > APART}
    units = added(names, sizes)
    loads, found = [0] * parts, {}
    # By powers of two: a package that grows a little leaves the others where they are.
    for name in sorted(units, key=lambda name: (-units[name].bit_length(), name)):
        if units[name] < LARGE:
            found[name] = zlib.crc32(os.fsencode(name)) % parts
        else:
            found[name] = loads.index(min(loads))
            loads[found[name]] += 1 << units[name].bit_length()
    return {path: found[name] + 1 for path, name in names.items()}


def added(names: dict[str, str], sizes: dict[str, int]) -> dict[str, int]:
    """The bytes under each name."""
    total = dict.fromkeys(names.values(), 0)
    for path, name in names.items():
        total[name] += sizes[path]
    return total


def copy(path: str, folder: Path, first: str) -> None:
    """A file, a link or an empty folder, below the folders that it is in.

    `first` is the name of the same file that is in the folder already, where it has several.
    """
    source, target = ROOT / path, folder / path
    for parent in reversed(Path(path).parents[:-1]):
        if not (folder / parent).is_dir():
            (folder / parent).mkdir()
            keep(ROOT / parent, folder / parent)
    if first != path:
        os.link(folder / first, target, follow_symlinks=False)
        return
    if source.is_dir() and not source.is_symlink():
        target.mkdir(exist_ok=True)
    else:
        shutil.copyfile(source, target, follow_symlinks=False)
    keep(source, target)


def keep(source: Path, target: Path) -> None:
    """Give what was copied its owner, then its mode and capabilities, which a new owner clears."""
    status = source.lstat()
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    shutil.copystat(source, target, follow_symlinks=False)


def facts(status: os.stat_result) -> str:
    """What tells one file from another at its path: its steps date what a stage writes."""
    if stat.S_ISDIR(status.st_mode):
        return "folder"
    return f"{int(status.st_mtime)},{status.st_size}"


def is_new(path: str, status: os.stat_result, before: dict[str, str]) -> bool:
    """Whether the stage wrote it; a full folder has its files.

    Not by its ctime: builds side by side link the files of a linked layer, which changes that.
    Not seen: another mode of a folder that was there and got no new file.
    """
    if stat.S_ISDIR(status.st_mode) and list((ROOT / path).iterdir()):
        return False
    return before.get(path) != facts(status)


def gone_since(before: dict[str, str], now: dict[str, os.stat_result]) -> list[str]:
    """The paths that are not there any more, the uppermost ones.

    What is another kind now is there: its layer covers what was, and all that was in a folder.
    """
    gone = before.keys() - now.keys()
    covered = gone | {path for path, status in now.items() if not stat.S_ISDIR(status.st_mode)}
    return sorted(p for p in gone if not any(str(above) in covered for above in Path(p).parents))


def split(name: str, parts: int) -> None:
    """Write the layers of a stage, and say how large they are."""
    records = [
        os.fsdecode(record).partition(" ") for record in (ROOT / BEFORE).read_bytes().split(b"\0")
    ]
    before = {path: known for known, _, path in records if path}
    now = dict(everything())
    new = {path: status for path, status in now.items() if is_new(path, status, before)}
    # No hard link leads to another layer: all names of a file go into one, and it counts once.
    names: dict[tuple[int, int], str] = {}
    first = {p: names.setdefault((s.st_dev, s.st_ino), p) for p, s in new.items()}
    sizes = {
        path: status.st_size if stat.S_ISREG(status.st_mode) else 0
        for path, status in new.items()
        if first[path] == path
    }
    layers = ROOT / LAYERS / name
    for part in range(1, parts + 1):
        (layers / str(part)).mkdir(parents=True)
    totals = [0] * parts
    found = sorted_into(parts, sizes)
    for path in new:
        part = found[first[path]]
        copy(path, layers / str(part), first[path])
        totals[part - 1] += sizes.get(path, 0)
    gone = gone_since(before, now)
    (layers / "removed").write_bytes(os.fsencode("".join(f"/{path}\0" for path in gone)))
    for part, total in enumerate(totals, 1):
        warning = "" if total <= BOUND else ", more than a layer is to have: give it more parts"
        print(f"{name} {part}: {total / 1e6:.1f} MB{warning}")


def note() -> None:
    """Write down what there is before the stage's steps."""
    records = "\0".join(f"{facts(status)} {path}" for path, status in everything())
    (ROOT / BEFORE).write_bytes(os.fsencode(records))


if __name__ == "__main__":
    if sys.argv[1:] == ["before"]:
        note()
    else:
        split(sys.argv[1], int(sys.argv[2]))
