"""A variable of ours with a slip in its name is a warning; those that others read are none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from invoked import run
from rocm_images.cli.unknown_variables import OF_OTHERS, unknown
from rocm_images.cli.variables import OF_OPTIONS, PREFIX, TYPED, variable_of

PROJECT = Path(__file__).resolve().parents[3]
READ = re.compile(rf"(?<![A-Z_]){PREFIX}([A-Z][A-Z_]*[A-Z])\b")


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("ROCM_IMAGES_ARHC", "ROCM_IMAGES_ARCH"),
        ("ROCM_IMAGES_ARCHS", "ROCM_IMAGES_ARCH"),
        ("ROCM_IMAGES_SIGN_KEY", "ROCM_IMAGES_SIGNING_KEY"),
        ("ROCM_IMAGES_SERVERS", "ROCM_IMAGES_SERVER"),
    ],
)
def test_a_slip_is_a_warning_with_what_may_be_meant(slip: str, meant: str) -> None:
    done = run("schema", **{slip: "a value"})
    assert done.exit_code == 0
    said = f"warning: nothing reads the variable {slip}: did you mean {meant}? docs/variables.md"
    assert done.stderr.count(said) == 1
    assert "a value" not in done.stderr
    assert slip not in done.stdout


def test_what_resembles_none_is_said_without_a_guess() -> None:
    (said,) = unknown({"ROCM_IMAGES_QQQ": "1"})
    assert said == (
        "nothing reads the variable ROCM_IMAGES_QQQ: docs/variables.md has those that are read"
    )


def test_quiet_leaves_it_out() -> None:
    assert run("schema", "-q", ROCM_IMAGES_ARHC="942").stderr == ""


def test_what_is_read_is_no_slip() -> None:
    options = [variable_of(word) for word in (*OF_OPTIONS, *TYPED)]
    others = ["HOME", "ROCM_PATH", "_ROCM_IMAGES_COMPLETE", *(PREFIX + name for name in OF_OTHERS)]
    assert unknown(dict.fromkeys([*options, *others], "1")) == []
    # An empty one says nothing, whatever it is called.
    assert unknown({"ROCM_IMAGES_ARHC": ""}) == []


def test_every_name_that_a_part_of_the_project_reads_is_known() -> None:
    folders = ("rocm_images", "images", "emulation", "rehearsal", "templates", "tests", "docs")
    files = [PROJECT / "build.py", PROJECT / "Makefile", PROJECT / "README.md"]
    files += [path for folder in folders for path in (PROJECT / folder).rglob("*")]
    own = Path(__file__).name
    found = {
        name
        for path in files
        if path.is_file() and path.suffix != ".pyc" and path.name != own
        for name in READ.findall(path.read_text(errors="replace"))
    }
    assert found >= {"ARCH", "SKIP_PREFLIGHT", "RUN"}
    assert unknown({PREFIX + name: "1" for name in found}) == []
