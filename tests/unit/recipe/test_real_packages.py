"""What the recipe says of servers' and transformers' real packages, which PyPI has."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_doctor.variable_reads import find_reads
from real_wheels import CACHE, downloaded
from rehearsal.published import published, sources_of
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.recipe.render import render

# The scripts of the stage `mends`, by their place.
TRANSFORMERS, CONFIGURATIONS = 0, 1
# Who reads the variables that are no server's: torch and its Inductor, HIP and CLR, ROCr and RCCL,
# safetensors and tokenizers, both in Rust, and Python itself.
OTHERS = (
    *("TORCHINDUCTOR_", "PYTORCH_", "HIP_", "DEBUG_HIP_", "HSA_"),
    *("SAFETENSORS_FAST_GPU", "TOKENIZERS_PARALLELISM", "PYTHONFAULTHANDLER"),
)


def scripts_of(matrix: Matrix, first: str, second: str) -> tuple[str, str]:
    """The two scripts of a stage, by the names of their files."""
    (_, text), *_ = render(matrix, cells_of(matrix)[:1])
    one, other = re.escape(first), re.escape(second)
    pattern = rf"^COPY <<'{one}' <<'{other}' /\n(.*?)^{one}\n(.*?)^{other}$"
    found = re.search(pattern, text, re.DOTALL | re.MULTILINE)
    assert found
    return found[1], found[2]


def mended(matrix: Matrix, packages: Path, which: int) -> subprocess.CompletedProcess[str]:
    script = packages.parent / "mend.py"
    script.write_text(scripts_of(matrix, "transformers.py", "configurations.py")[which])
    return subprocess.run(
        [sys.executable, str(script)],
        env={"PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder with SGLang's wheel in it."""
    folder = tmp_path / "packages"
    with zipfile.ZipFile(downloaded("sglang", "0.5.21", "3.10")) as wheel:
        names = [name for name in wheel.namelist() if name.endswith((".json", "METADATA"))]
        wheel.extractall(folder, names)
    return folder


def with_transformers(packages: Path, version: str) -> Path:
    with zipfile.ZipFile(downloaded("transformers", version, "3.10")) as wheel:
        names = [name for name in wheel.namelist() if "dist-info" in name or "dynamic_mod" in name]
        wheel.extractall(packages, names)
    return packages / "transformers" / "dynamic_module_utils.py"


def test_every_configuration_of_an_mi300x_is_there_for_a_guest_of_one(
    project_matrix: Matrix, packages: Path
) -> None:
    plain = set(packages.rglob("*AMD_Instinct_MI300X*.json"))
    assert len(plain) == 20
    done = mended(project_matrix, packages, CONFIGURATIONS)
    assert done.returncode == 0, done.stderr
    for path in plain:
        guest = path.with_name(path.name.replace("MI300X", "MI300X_VF"))
        assert guest.read_bytes() == path.read_bytes()
    assert len(set(packages.rglob("*MI300X*.json"))) == 2 * len(plain)


@pytest.mark.parametrize("version", ["5.12.1", "5.13.0"])
def test_transformers_is_mended_where_it_needs_it(
    project_matrix: Matrix, packages: Path, version: str
) -> None:
    path = with_transformers(packages, version)
    before = path.read_text()
    done = mended(project_matrix, packages, TRANSFORMERS)
    assert done.returncode == 0, done.stderr
    after = path.read_text()
    assert (before != after) is (version == "5.12.1")
    assert "_file).resolve()" not in after
    ast.parse(after)


def test_a_transformers_that_is_not_what_was_known_ends_the_build(
    project_matrix: Matrix, packages: Path
) -> None:
    path = with_transformers(packages, "5.12.1")
    path.write_text(path.read_text().replace("Path(source_file).resolve()", "Path(other)"))
    done = mended(project_matrix, packages, TRANSFORMERS)
    assert done.returncode == 1
    assert "Path(source_file).resolve() is not in" in done.stderr


@pytest.mark.parametrize(("extra", "code"), [("tracing", 0), ("srt_hip", 1)])
def test_an_extra_that_the_wheel_has_not_ends_the_build(
    project_matrix: Matrix, tmp_path: Path, extra: str, code: int
) -> None:
    script = tmp_path / "requirements.py"
    script.write_text(scripts_of(project_matrix, "requirements.py", "split.py")[0])
    # PyPI's wheel is the one for CUDA.
    words = [sys.executable, str(script), str(downloaded("sglang", "0.5.21", "3.10")), extra]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert ("has no extra srt_hip, but " in done.stderr) is bool(code)
    # What it asks for without one is asked for with one, too; the wheel itself is not.
    names = {re.split(r"[^\w.-]", line)[0] for line in done.stdout.splitlines()}
    assert ({"transformers", "torch"} <= names) is not bool(code)
    assert "sglang" not in names


def releases(matrix: Matrix) -> Iterator[tuple[Cell, set[str]]]:
    """Of each release of a server: one of its cells, and every variable that is set in any."""
    found: dict[tuple[str, str], tuple[Cell, set[str]]] = {}
    for cell in cells_of(matrix):
        _, names = found.setdefault((cell.server.name, cell.version), (cell, set()))
        names.update(cell.env)
    yield from found.values()


def test_every_variable_that_is_set_is_read_by_the_server_it_is_set_for(
    project_matrix: Matrix,
) -> None:
    for cell, names in releases(project_matrix):
        ours = {name for name in names if not name.startswith(OTHERS)}
        assert ours
        assert ours - read_in(python_of(cell), ours) == set(), cell.name


def test_a_variable_that_nothing_reads_is_found_out(project_matrix: Matrix) -> None:
    stale = {
        "sglang": ("SGLANG_DISABLE_CUDNN_CHECK", "SGLANG_USE_AITER_AR"),
        # Before 0.25.
        "vllm": ("VLLM_ROCM_USE_AITER_CUSTOM_AR", "VLLM_ROCM_USE_AITER"),
    }
    cells = {cell.name: cell for cell in cells_of(project_matrix)}
    for server, (unread, read) in stale.items():
        cell = cells[f"{server}-942-rocm7.2.2"]
        assert read_in(python_of(cell), {unread, read}) == {read}


def python_of(cell: Cell) -> Iterator[tuple[str, bytes]]:
    """Each file of Python of a cell's server, by what PyPI has of it."""
    name, version = cell.server.distributions[cell.server.name], cell.version
    package = cell.server.package
    if published(cell.server.name).file:
        with tarfile.open(sources_of(name, version, CACHE)) as archive:
            for member in archive:
                file = member.name.partition("/")[2]
                content = archive.extractfile(member) if file.startswith(f"{package}/") else None
                if content and file.endswith(".py"):
                    yield file, content.read()
    else:
        with zipfile.ZipFile(downloaded(name, version, cell.python)) as wheel:
            for file in wheel.namelist():
                if file.endswith(".py") and not file.startswith(f"{package}/test/"):
                    yield file, wheel.read(file)


def read_in(files: Iterator[tuple[str, bytes]], names: set[str]) -> set[str]:
    """Those of the variables that Python reads."""
    found: set[str] = set()
    pattern = re.compile(rf"\b(?:{'|'.join(names)})\b".encode())
    for file, content in files:
        here = {match.decode() for match in pattern.findall(content)} - found
        if here:
            tree = ast.parse(content)
            found |= {name for name in here if any(find_reads(file, tree, name))}
    return found
