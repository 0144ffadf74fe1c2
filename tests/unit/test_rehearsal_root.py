"""What the images of a rehearsal are built on is small, and unpacked once."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rehearsal.root import MADE_SLIM

PROJECT = Path(__file__).resolve().parents[2]


def first_run(dockerfile: str) -> str:
    """The words of the first RUN."""
    text = (PROJECT / dockerfile).read_text()
    lines = text[text.index("\nRUN ") + 1 :].splitlines()
    ends = next(number for number, line in enumerate(lines) if not line.endswith("\\"))
    return "\n".join(lines[: ends + 1])


def test_the_emulator_and_the_base_unpack_one_compiler() -> None:
    one = first_run("emulation/Dockerfile")
    assert " g++ " in one
    assert one == first_run("rehearsal/base/Dockerfile")


def test_a_root_keeps_who_owns_what_and_drops_what_nobody_reads(tmp_path: Path) -> None:
    root = tmp_path / "the root"
    kept = ("usr/share/doc/bash/copyright", "usr/share/misc/a", "var/cache/apt/archives/lock")
    dropped = (
        *("usr/share/doc/bash/NEWS.gz", "usr/share/info/dir", "usr/share/man/man1/bash.1.gz"),
        *("usr/share/locale/uk/LC_MESSAGES/bash.mo", "var/cache/apt/pkgcache.bin"),
    )
    for name in (*kept, *dropped):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    for name in ("etc/apt/apt.conf.d", "etc/dpkg/dpkg.cfg.d"):
        (root / name).mkdir(parents=True)
    # As mmdebstrap runs a hook.
    subprocess.run(["sh", "-c", MADE_SLIM, "exec", str(root)], check=True)
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert files == {*kept, "etc/apt/apt.conf.d/slim", "etc/dpkg/dpkg.cfg.d/slim"}
    said = (root / "etc/apt/apt.conf.d/slim").read_text()
    assert 'APT::Keep-Downloaded-Packages "false";' in said
