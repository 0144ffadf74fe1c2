"""The recipe on SGLang's real Python tree: the wheel of PyPI in place of the stand-in's package.

Torch, the kernels and what SGLang requires are stand-ins, as ever: nothing is served here.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import docker
import pytest

from conftest import PROJECT, Answer, run_build_py, run_in
from real_wheels import downloaded

CELL = ("--rehearse", "--no-smoke", "--arch", "942", "--base", "7.2.2")
DATA = '\n[tool.setuptools.package-data]\nsglang = ["**/*.json"]\n'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The stand-in of SGLang's tree with the files of the real package over its own."""
    folder = shutil.copytree(PROJECT / "rehearsal" / "sources" / "sglang", tmp_path / "sglang")
    with zipfile.ZipFile(downloaded("sglang", "0.5.21", "3.10")) as wheel:
        names = [name for name in wheel.namelist() if name.startswith("sglang/")]
        wheel.extractall(folder / "python", [n for n in names if n.endswith((".py", ".json"))])
    with (folder / "python" / "pyproject_other.toml").open("a") as project:
        project.write(DATA)
    return folder


# Beside what `make recipe-check` resolves; CI runs it, and `make test` does not: it takes a while.
@pytest.mark.recipe
def test_the_real_tree_is_installed_mended_and_obeys_its_variable(
    rehearsed: Answer, client: docker.DockerClient, source: Path
) -> None:
    built = run_build_py(*CELL, "--context", f"sglang-src={source}")
    assert built.code == 0, built.stderr
    image = built.summary["sglang-942-rocm7.2.2"]["image_id"]
    status, said, errors = run_in(client, image, ["image-doctor", "variable"])
    assert status == 0, said + errors
    assert "sglang/srt/distributed/device_communicators/custom_all_reduce.py" in said
    assert "dispatch_custom_allreduce" in said
    where = "find /opt/venv/lib -name '*MI300X_VF*.json' | wc -l"
    assert run_in(client, image, ["sh", "-c", where])[1].strip() == "20"
