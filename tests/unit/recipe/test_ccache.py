"""What the steps that compile source before they do, run by bash in a made-up ROCm."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.recipe.render import render

STAGES = ("aiter", "sgl-kernel", "fast-hadamard-transform")
PROGRAM = '#!/bin/sh\necho {0} "$@"\n'


@pytest.fixture(scope="module")
def text(project_matrix: Matrix) -> str:
    return next(iter(render(project_matrix, cells_of(project_matrix))))[1]


@pytest.fixture
def root(tmp_path: Path, text: str) -> Path:
    """A compiler, what it loads and links, and a ccache that says what it is asked."""
    (use,) = re.findall(
        r"^COPY <<'USE' /opt/ccache/use\n(.*?)^USE$", text, re.MULTILINE | re.DOTALL
    )
    for name in ("opt/rocm", "opt/venv", "run/ccache"):
        use = use.replace(f"/{name}", f"{tmp_path}/{name}")
    files = {
        "opt/rocm/lib/llvm/bin/clang-20": PROGRAM.format("clang"),
        "opt/rocm/lib/llvm/bin/lld": PROGRAM.format("lld"),
        "opt/rocm/lib/llvm/lib/libLLVM.so.20": "a library",
        "opt/rocm/amdgcn/bitcode/ocml.bc": "bitcode",
        "opt/rocm/share/readme": "no part of a compiler",
        "run/ccache/ccache": PROGRAM.format("ccache"),
        "use": use,
    }
    for name, content in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(0o755)
    (tmp_path / "opt/rocm/lib/llvm/bin/clang").symlink_to("clang-20")
    (tmp_path / "opt/rocm/lib/llvm/bin/clang++").symlink_to("clang")
    return tmp_path


def after_use(root: Path, words: str, path: Path | None = None) -> str:
    """What a command says in a step that sourced it; as in the recipe, the shell ends at errors."""
    script = f'. "{root}/use"\n{words}'
    command = ["bash", "-euo", "pipefail", "-c", script]
    first = f"{path}{os.pathsep}" if path else ""
    environment = {**os.environ, "PATH": f"{first}{os.environ['PATH']}"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout


@pytest.fixture(params=["a link", "a program"])
def compiler(root: Path, request: pytest.FixtureRequest) -> Path:
    """The compiler that hipcc calls, as it is in ROCm 7.2 and in AMD's SDK."""
    found = root / "opt/rocm/lib/llvm/bin/clang++"
    if request.param == "a program":
        found.unlink()
        # As AMD's stub does: it starts what lies beside it, under the name that it was called by.
        found.write_text('#!/bin/bash\nexec -a "$0" "${0%/*}/clang" "$@"\n')
        found.chmod(0o755)
        # Another package has the same file, whose calls are nobody's.
        (root / "opt/other").hardlink_to(found)
    return found


def test_whoever_calls_the_compiler_by_its_path_goes_through_ccache(
    root: Path, compiler: Path
) -> None:
    beneath = compiler.parent / "clang++-beneath"
    assert after_use(root, f"{compiler} -x hip 'a b.cu'") == f"ccache {beneath} -x hip a b.cu\n"
    # It finds what lies beside it.
    assert after_use(root, f"{beneath} -v") == "clang -v\n"
    # A second step in the same stage finds it so.
    assert after_use(root, f"{compiler} -v") == f"ccache {beneath} -v\n"


def test_what_is_missing_beside_a_compiler_ends_no_build(root: Path) -> None:
    llvm = root / "opt/rocm/lib/llvm"
    said = 'echo "$CCACHE_COMPILERCHECK"'
    before = after_use(root, said)
    for name in ("lib/libgone.so", "bin/ld.lld", "gone.bc"):
        (llvm / name).symlink_to("nowhere")
    assert after_use(root, said) == before
    (llvm / "lib/libgone.so").unlink()
    (llvm / "lib/libLLVM.so.20").unlink()
    (llvm / "lib").rmdir()
    assert after_use(root, said) != before


def test_a_compiler_that_leads_nowhere_is_left_alone(root: Path) -> None:
    compiler = root / "opt/rocm/lib/llvm/bin/clang++"
    compiler.unlink()
    compiler.symlink_to("nowhere")
    after_use(root, "true")
    assert compiler.is_symlink()


@pytest.mark.parametrize("name", ["cc", "c++", "gcc", "g++"])
def test_another_compiler_of_the_host_is_another_unit(root: Path, name: str) -> None:
    said = 'echo "$CCACHE_COMPILERCHECK"'
    program = root / "host" / name
    program.parent.mkdir()
    found = []
    for content in ("one", "another"):
        program.write_text(PROGRAM.format(content))
        program.chmod(0o755)
        found.append(after_use(root, said, path=program.parent))
    assert found[0] != found[1]


@pytest.mark.parametrize(
    "changed",
    [
        "opt/rocm/lib/llvm/bin/clang-20",
        "opt/rocm/lib/llvm/bin/lld",
        "opt/rocm/lib/llvm/lib/libLLVM.so.20",
        "opt/rocm/amdgcn/bitcode/ocml.bc",
    ],
)
def test_another_compiler_library_or_bitcode_is_another_unit(root: Path, changed: str) -> None:
    said = 'echo "$CCACHE_COMPILERCHECK"'
    before = after_use(root, said)
    assert re.fullmatch(r"string:[0-9a-f]{64}  -\n", before)
    (root / "opt/rocm/share/readme").write_text("changed")
    assert after_use(root, said) == before
    (root / changed).write_text("changed")
    assert after_use(root, said) != before


def test_compilers_of_the_host_are_found_in_ccache_first(root: Path) -> None:
    assert after_use(root, 'echo "${PATH%%:*}"') == f"{root}/run/ccache/bin\n"


def test_the_stages_that_compile_go_through_ccache_and_no_other_has_it(text: str) -> None:
    stages = dict(
        re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL)
    )
    through = {name for name, lines in stages.items() if ". /run/ccache/use" in lines}
    assert through == set(STAGES)
    for name in STAGES:
        assert "--mount=type=cache,id=ccache-" in stages[name]
        assert stages[name].index(". /run/ccache/use") < stages[name].index("setup")
    assert "ccache" not in stages["serving"]


def test_units_that_are_taken_have_the_room_of_those_that_are_compiled(text: str) -> None:
    sizes = re.findall(r"CCACHE_MAXSIZE=(\w+)", text)
    assert len(sizes) == text.count("CCACHE_DIR=") == 2
    assert len(set(sizes)) == 1


def test_a_matrix_without_ccache_compiles_without_it(project_matrix: Matrix) -> None:
    servers = {
        name: server.model_copy(
            update={"downloads": {n: d for n, d in server.downloads.items() if n != "ccache"}}
        )
        for name, server in project_matrix.servers.items()
    }
    matrix = project_matrix.model_copy(update={"servers": servers})
    for _, text in render(matrix, cells_of(matrix)):
        assert "/run/ccache" not in text
        assert "compiled-units" not in text
