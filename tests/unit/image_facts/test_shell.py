"""image.sh says to sh what image.json says, whatever stands in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from image_facts.description import Facts
from image_facts.shell import as_shell

PACKAGES = Path(__file__).parents[3] / "images" / "rootfs" / "opt" / "rocm-images"


def sourced(facts: Facts, script: str, folder: Path) -> str:
    path = folder / "image.sh"
    path.write_text(as_shell(facts))
    done = subprocess.run(
        ["sh", "-euc", f'. "$0"; {script}', path], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    "text", ["it's", '"$HOME" `id` $(id)', "a\\nb %s \\", "* ~ ; & |", "é", ""]
)
def test_every_text_arrives_as_it_was(text: str, tmp_path: Path) -> None:
    facts = Facts(cell=text, env={"SGLANG_USE_AITER_AR": text})
    said = sourced(facts, 'printf "%s|%s" "$image_cell" "$image_all_reduce_set"', tmp_path)
    assert said == f"{text}|{text}"


def test_a_line_break_in_a_text_begins_no_command(tmp_path: Path) -> None:
    facts = Facts(cell="one\nprintf two")
    assert sourced(facts, 'printf "%s" "$image_cell"', tmp_path) == "one printf two"


def test_each_warning_is_a_call(tmp_path: Path) -> None:
    facts = Facts(warnings={"roctracer": "it's lost", "other": "$HOME"})
    path = tmp_path / "image.sh"
    path.write_text(as_shell(facts))
    define = 'image_warning() { printf "%s: %s\\n" "$1" "$2"; }; . "$0"'
    done = subprocess.run(["sh", "-c", define, path], capture_output=True, text=True, check=True)
    assert done.stdout == "roctracer: it's lost\nother: $HOME\n"


@pytest.mark.parametrize(
    ("version", "read"),
    [
        ("0.18.1", ""),
        ("0.27.1", "VLLM_ROCM_USE_AITER_CUSTOM_AR"),
        (None, "VLLM_ROCM_USE_AITER_CUSTOM_AR"),
    ],
)
def test_the_variable_of_the_all_reduce_is_named_where_this_release_reads_it(
    version: str | None, read: str, tmp_path: Path
) -> None:
    facts = Facts(server="vllm", versions={"vllm": version} if version else {})
    said = 'printf "%s|%s|%s" "$image_all_reduce_variable" "$image_all_reduce_requires" '
    assert sourced(facts, f'{said} "$image_all_reduce_off"', tmp_path) == (
        f"{read}|VLLM_ROCM_USE_AITER=false|vLLM"
    )


def written(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "image_facts.shell", str(path)],
        cwd=PACKAGES, capture_output=True, text=True, timeout=30,
    )  # fmt: skip


def test_the_build_writes_it_from_the_file_or_ends_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "image.json"
    path.write_text(json.dumps({"gfx": "gfx942", "capture_bug": {"here": True}}))
    done = written(path)
    assert done.returncode == 0
    assert "image_gfx=gfx942\n" in done.stdout
    assert "image_capture_bug=1\n" in done.stdout
    path.write_text("{")
    done = written(path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("Rebuild the image.\n")
