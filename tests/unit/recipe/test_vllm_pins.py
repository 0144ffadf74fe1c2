"""The pins, the settings and the build of vLLM's images are those of its real sources."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from real_wheels import CACHE
from rehearsal.published import file_of, published, sources_of
from rehearsal.recipe_check import OF_AITER
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.recipe.render import render

SCRIPT = Path(__file__).resolve().parents[3] / "templates/servers/vllm/requirements.py"
READ = {
    "setup.py",
    "requirements/rocm-build.txt",
    "requirements/build/rocm.txt",
    "docker/Dockerfile.rocm",
    "docker/Dockerfile.rocm_base",
    "cmake/external_projects/triton_kernels.cmake",
}


@pytest.fixture(scope="module", params=["7.2.2", "10.0.0"])
def cell(request: pytest.FixtureRequest, project_matrix: Matrix) -> Cell:
    name = f"vllm-942-rocm{request.param}"
    return next(cell for cell in cells_of(project_matrix) if cell.name == name)


@pytest.fixture(scope="module")
def files(cell: Cell) -> dict[str, str]:
    """Those of its sources that say how upstream builds it."""
    found = {}
    with tarfile.open(sources_of("vllm", cell.version, CACHE)) as archive:
        for member in archive:
            name = member.name.partition("/")[2]
            content = archive.extractfile(member) if name in READ else None
            if content:
                found[name] = content.read().decode()
    return found


def test_what_it_is_built_with_is_what_upstream_s_image_is(
    cell: Cell, files: dict[str, str]
) -> None:
    pins = dict(re.findall(r'^ARG (\w+)="(.*)"$', files["docker/Dockerfile.rocm_base"], re.M))
    aiter, attention = cell.sources["aiter"], cell.sources["flash-attention"]
    assert (pins["AITER_REPO"], pins["AITER_BRANCH"]) == (aiter.git, aiter.ref)
    assert pins["FA_REPO"] == attention.git
    assert attention.ref.startswith(pins["FA_BRANCH"])


def test_the_triton_kernels_are_those_that_its_build_would_clone(
    cell: Cell, files: dict[str, str]
) -> None:
    text = files["cmake/external_projects/triton_kernels.cmake"]
    assert "SOURCE_DIR $ENV{TRITON_KERNELS_SRC_DIR}" in text
    # Where it tells devices apart, the first are ROCm's.
    tag = re.search(r'set\((?:DEFAULT_)?TRITON_KERNELS_TAG "(.*)"\)', text)
    repository = re.search(r'set\(TRITON_GIT "(.*)"\)', text)
    source = cell.sources["triton-kernels"]
    assert tag
    assert repository
    assert (source.git, source.ref) == (repository[1], tag[1])


def test_each_variable_of_its_build_is_read_there(
    cell: Cell, files: dict[str, str], project_matrix: Matrix
) -> None:
    ((_, text),) = render(project_matrix, [cell])
    step = text.partition("cd /src/vllm ")[2].partition("\n\n")[0]
    given = set(re.findall(r"\b([A-Z_]+)=", step))
    assert given == {
        *("VLLM_VERSION_OVERRIDE", "VLLM_TARGET_DEVICE", "PYTORCH_ROCM_ARCH"),
        "TRITON_KERNELS_SRC_DIR",
    }
    # torch reads the third, and CMake the last.
    for name in ("VLLM_VERSION_OVERRIDE", "VLLM_TARGET_DEVICE"):
        assert name in files["setup.py"]
    wanted = [files[name] for name in files if name.startswith("requirements/")]
    assert any("cmake>=3.26.1,<4" in text for text in wanted)
    assert cell.downloads["cmake"].version.startswith("3.")


def test_what_is_called_upstream_s_default_is_set_in_its_image(
    cell: Cell, files: dict[str, str]
) -> None:
    final = re.split(r"^FROM ", files["docker/Dockerfile.rocm"], flags=re.M)
    (image,) = (stage for stage in final if stage.partition("\n")[0].endswith(" AS final"))
    theirs = dict(re.findall(r"^ENV (\w+)=(\S+)$", image, re.M))
    ours = {s.name: s.value for s in cell.settings if s.why.startswith("upstream's default")}
    assert {
        "HIP_FORCE_DEV_KERNARG",
        "SAFETENSORS_FAST_GPU",
        "TOKENIZERS_PARALLELISM",
    } <= ours.keys()
    assert ours == {name: theirs.get(name) for name in ours}
    # Nothing of AITER's is.
    assert not [name for name in theirs if "AITER" in name]


def test_what_its_real_files_ask_for_becomes_a_list_without_torch(
    cell: Cell, tmp_path: Path
) -> None:
    archive = sources_of("vllm", cell.version, CACHE)
    aiter = tmp_path / "requirements.txt"
    iris = "iris @ git+https://github.com/ROCm/iris.git@905ec1cea8f350211a70c7d0b2bc11a09a6f6429"
    aiter.write_text("\n".join([*OF_AITER[cell.sources["aiter"].version], "# iris", iris]))
    words = [file_of(published("vllm").file, archive, CACHE), aiter]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names = {re.split(r"[^\w.-]", line)[0] for line in done.stdout.splitlines()}
    assert {"transformers", "fastapi", "grpcio", "amd-quark", "pandas", "pybind11"} <= names
    assert not {"torch", "torchvision", "triton", "iris", "vllm"} & names
    assert ("flydsl" in names) is (cell.rocm == "10.0.0")
    assert len(names) > 70
