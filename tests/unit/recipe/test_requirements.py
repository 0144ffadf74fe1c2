"""The list that `deps` installs: from a wheel's metadata, or from the files of a source."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

TEMPLATES = Path(__file__).resolve().parents[3] / "templates"


def wheel_that_requires(folder: Path, version: str, *lines: str) -> Path:
    path = folder / f"made_up-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        metadata = "\n".join(
            ["Metadata-Version: 2.1", "Name: made-up", f"Version: {version}", *lines, "", "Text"]
        )
        wheel.writestr(f"made_up-{version}.dist-info/METADATA", metadata)
    return path


def requirements(wheel: Path, *extras: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(TEMPLATES / "parts" / "requirements.py"), str(wheel), *extras]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


LINES = (
    "Provides-Extra: on_amd",
    "Provides-Extra: common",
    "Provides-Extra: other",
    "Requires-Dist: plain",
    'Requires-Dist: made-up[common,on-amd]; extra == "on-amd"',
    'Requires-Dist: tool==1.2; extra == "on-amd"',
    'Requires-Dist: shared>=3,<4; extra == "common"',
    'Requires-Dist: never; extra == "other"',
    'Requires-Dist: old; python_version < "3"',
    'Requires-Dist: source@ git+https://example.org/a.git@v1 ; extra == "common"',
)


def test_the_requirements_are_those_of_the_extra_and_of_what_it_names(tmp_path: Path) -> None:
    done = requirements(wheel_that_requires(tmp_path, "1.0", *LINES), "on_amd")
    assert done.returncode == 0, done.stderr
    found = [re.sub(r"\s*@\s*", "@", line) for line in done.stdout.splitlines()]
    assert found == [
        "plain",
        "shared<4,>=3",
        "source@git+https://example.org/a.git@v1",
        "tool==1.2",
    ]
    plain = requirements(wheel_that_requires(tmp_path, "1.0", *LINES))
    assert plain.stdout == "plain\n"


def test_two_releases_that_ask_for_the_same_have_one_list(tmp_path: Path) -> None:
    one = requirements(wheel_that_requires(tmp_path, "1.0", *LINES), "on-amd")
    # In another order, too.
    other = requirements(wheel_that_requires(tmp_path, "2.0", *reversed(LINES)), "on-amd")
    assert one.stdout == other.stdout != ""


def listed(*files: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(TEMPLATES / "servers" / "vllm" / "requirements.py")]
    words += map(str, files)
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_the_files_of_a_source_are_followed_without_what_the_base_has(tmp_path: Path) -> None:
    (tmp_path / "common.txt").write_text(
        "plain  # why\n\n# Said of the next one\ntool == 1.2; python_version > '3'\n"
        "old; python_version < '3'\nsource @ git+https://example.org/a.git@v1#egg=source\n"
    )
    (tmp_path / "rocm.txt").write_text(
        "-r common.txt\n\nshared[a]>=3,<4 # why\nTorch==2.9\ntool==1.2"
    )
    other = tmp_path / "aiter.txt"
    other.write_text("iris @ git+https://example.org/iris.git@1\ntriton\nplain\n")
    done = listed(tmp_path / "rocm.txt", other)
    assert done.returncode == 0, done.stderr
    assert [re.sub(r"\s*@\s*", "@", line) for line in done.stdout.splitlines()] == [
        "plain",
        "shared[a]<4,>=3",
        "source@git+https://example.org/a.git@v1#egg=source",
        "tool==1.2",
    ]


def test_an_option_of_pip_in_a_file_ends_the_build(tmp_path: Path) -> None:
    file = tmp_path / "rocm.txt"
    file.write_text("--extra-index-url https://example.org/whl\nplain\n")
    done = listed(file)
    assert done.returncode == 1
    assert f"{file}: --extra-index-url https://example.org/whl: only -r is followed" in done.stderr
