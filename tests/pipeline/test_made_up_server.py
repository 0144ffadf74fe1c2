"""Another server is one module, one folder of templates and one block of matrix.yaml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rocm_images.engine.connect import Engine
from rocm_images.plan.load import load
from rocm_images.servers import SERVERS

PROJECT = Path(__file__).resolve().parent.parent.parent
OTHERS = tuple(server.variables for server in SERVERS.values())
NAME = "made-up"
MODULE = '''
"""A made-up server."""

from image_servers.all_reduce import AllReduceVariable
from image_servers.api import Api
from image_servers.arguments import Arguments
from image_servers.log_lines import LogLines
from image_servers.server import Probe, Server

MADE_UP = Server(
    name="made-up",
    title="Made-up",
    package="made_up",
    launcher="made_up.serve",
    distributions={"made-up": "made-up"},
    kernels={},
    wheel_stages=(),
    all_reduce=AllReduceVariable(
        name="MADE_UP_AITER",
        default="false",
        on="aiter",
        off="made-up",
        titles={"aiter": "AITER", "made-up": "Made-up"},
        dispatch="choose",
        since="1.0",
    ),
    port=8000,
    command=lambda model, gpus, port, host: ["-m", "made_up.serve", model],
    arguments=Arguments(example="--memory 1", of_the_deployment={}, tensor=("--gpus",)),
    probe=Probe(
        arguments=lambda backend, gpus, graphs, limited: [],
        api=Api(path="/ask", body=lambda question: {}, generations=lambda answer, logprobs: []),
        no_memory=lambda total: ("--memory", str(total)),
    ),
    variables="MADE_UP_",
    log=LogLines(title="Made up", ready="ready"),
)
'''
WHEEL = """\
FROM base AS wheel
RUN {{ clock }} --mount=type=bind,from=made-up-src,target=/src,rw . /run/clock/clock && cd /src \\
 && /opt/venv/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .
"""
DEPS = """\
RUN {{ clock }} --mount=type=bind,from=requirements,target=/run/requirements \\
    . /run/clock/clock \\
 && /opt/venv/bin/python -m pip install -r /run/requirements/requirements.txt
"""
PACKAGE = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "made-up"
version = "1.0"
"""
SOURCE = """\
import os


def choose():
    return "aiter" if os.environ.get("MADE_UP_AITER", "false") == "1" else "made-up"
"""
BLOCK = """\
  made-up:
    repository: made-up-rocm
    title: Made-up for AMD GPUs
    sources:
      made-up: {git: https://example.org/made-up.git, ref: v1.0, version: 1.0, why: a test}
    packages:
      triton:
        version: 3.7.0+amd.rocm7.2.0.git89002410
        index: https://pypi.amd.com/triton/release/rocm-7.2.0/simple/
        why: the base's
      pyelftools: {version: "0.33", index: https://pypi.org/simple/, why: for the doctor}
    env:
      MADE_UP_AITER: {value: 1, why: a test}
"""
ADVISED = """\
      SGLANG_USE_AITER_AR: 0
      VLLM_ROCM_USE_AITER_CUSTOM_AR: 0
    why: >-
      hipEventQuery"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout in which nothing is changed but what the document names."""
    folder = tmp_path_factory.mktemp("made-up-server") / "checkout"
    files = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(files, cwd=PROJECT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((PROJECT / name).read_bytes())
            (folder / name).chmod((PROJECT / name).stat().st_mode)
    (folder / ".cache").symlink_to(PROJECT / ".cache")
    servers = folder / "images/rootfs/opt/rocm-images/image_servers"
    (servers / "made_up.py").write_text(MODULE)
    with (servers / "__init__.py").open("a") as file:
        file.write(
            "\nfrom image_servers.made_up import MADE_UP\n\nSERVERS[MADE_UP.name] = MADE_UP\n"
        )
    recipe = folder / "templates/servers/made-up"
    recipe.mkdir()
    (recipe / "wheel.j2").write_text(WHEEL)
    (recipe / "deps.j2").write_text(DEPS)
    matrix = folder / "matrix.yaml"
    text = matrix.read_text().replace("\nservers:\n", f"\nservers:\n{BLOCK}", 1)
    # All servers choose their all-reduce by one advisory.
    assert text.count(ADVISED) == 1
    matrix.write_text(text.replace(ADVISED, f"      MADE_UP_AITER: 0\n{ADVISED}"))
    return folder


def build_py(
    folder: Path, *words: str, environment: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "build.py", *words],
        cwd=folder,
        env={**environment, "ROCM_IMAGES_MATRIX": str(folder / "matrix.yaml")},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def planned(folder: Path, *words: str) -> list[dict[str, Any]]:
    done = build_py(folder, "plan", "--json", *words)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_it_is_planned_beside_the_other_and_meant_where_it_is_named(checkout: Path) -> None:
    servers = {str(cell["server"]) for cell in planned(checkout)}
    assert servers == {"sglang"}
    ours = load(PROJECT / "matrix.yaml").servers
    assert {str(cell["server"]) for cell in planned(checkout, "--server", "all")} == {*ours, NAME}
    cells = {str(cell["cell"]): cell for cell in planned(checkout, "--server", NAME)}
    variables = {name for cell in cells.values() for name in cell["env"]}
    assert "MADE_UP_AITER" in variables
    assert [name for name in variables if name.startswith(OTHERS)] == []
    assert cells["made-up-942-rocm7.2.0"]["all_reduce"] == "made-up"
    assert cells["made-up-942-rocm7.2.2"]["all_reduce"] == "aiter"
    assert cells["made-up-942-rocm7.2.2"]["tags"] == ["v1.0-rocm722-mi30x", "v1.0-mi30x"]


def test_it_is_rendered_built_and_doctored(
    checkout: Path, tmp_path: Path, running_engine: Engine
) -> None:
    assert build_py(checkout, "render").returncode == 0
    dockerfile = (checkout / "images/made-up-942-rocm7.2.2/Dockerfile").read_text()
    instructions = [line for line in dockerfile.splitlines() if not line.startswith("#")]
    others = tuple(name.rstrip("_").lower() for name in OTHERS)
    named = [line for line in instructions if any(other in line.lower() for other in others)]
    # A public report of the capture bug, which is in image.json.
    assert named == ['    "reference": "sgl-project/sglang#23581"']
    (tmp_path / "made_up").mkdir()
    # A source of its own: where the tests ran before, the engine has the image of that one.
    (tmp_path / "made_up/__init__.py").write_text(f"{SOURCE}\n# {uuid.uuid4()}\n")
    (tmp_path / "pyproject.toml").write_text(PACKAGE)
    choice = ("--server", NAME, "--arch", "942", "--base", "7.2.2", "--rehearse")
    words = (*choice, "--context", f"made-up-src={tmp_path}")
    done = build_py(checkout, *words, environment=running_engine.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    (cell,) = json.loads((checkout / "build/summary.json").read_text())["cells"]
    assert (cell["cell"], cell["result"]) == ("made-up-942-rocm7.2.2", "done")
