"""The program as people start it: answers, exit codes, and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rocm_images.build.options import parse_contexts
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of

PROJECT = Path(__file__).resolve().parents[3]
MatrixFile = Callable[..., Path]


def build_py(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROJECT / "build.py"), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_verb_and_the_options_of_build() -> None:
    answer = build_py("--help")
    assert answer.returncode == 0
    for word in (
        "plan",
        "explain",
        "render",
        "lock",
        "smoke",
        "--rehearse",
        "--jobs",
        "Exit codes",
    ):
        assert word in answer.stdout


def test_plan_json_describes_each_cell() -> None:
    cells = json.loads(build_py("plan", "--json", "--arch", "942").stdout)
    older, newer = (
        next(cell for cell in cells if cell["cell"] == f"sglang-942-rocm{base}")
        for base in ("7.2.0", "7.2.2")
    )
    assert {cell["arch"] for cell in cells} == {"942"}
    assert older["gfx"] == "gfx942"
    assert older["family"] == "mi30x"
    assert older["rocm"] == "7.2.0"
    assert older["base_image"].startswith("rocm/pytorch:rocm7.2_")
    assert older["tags"] == ["v0.5.21-rocm720-mi30x"]
    assert older["env"]["SGLANG_USE_AITER_AR"] == "0"
    assert "hip-event-query" in older["advisories"]
    assert "hip-event-query" not in newer["advisories"]
    assert older["dockerfile"] == "images/sglang-942-rocm7.2.0/Dockerfile"


def test_plan_names_the_advisory_that_chose_the_all_reduce(project_matrix: Matrix) -> None:
    heading, *rows = build_py("plan", "--server", "all").stdout.splitlines()
    # Below it stands why the state is unknown, where no engine answers.
    rows = [row for row in rows if not row.startswith("the state is ")]
    assert [row.split()[0] for row in rows] == [cell.name for cell in cells_of(project_matrix)]
    column = slice(heading.index("ALL-REDUCE"), heading.index("BUILD ID"))
    shown = {row.split()[0]: " ".join(row[column].split()) for row in rows}
    assert shown["sglang-942-rocm7.2.0"] == "sglang hip-event-query"
    # Without an advisory, the reason is in `explain` alone.
    assert shown["vllm-950-rocm10.0.0"] == "vllm -"
    (several,) = (c for c in cells_of(project_matrix) if c.name == "vllm-942-rocm10.0.0")
    first, *others = several.all_reduce_reason.split(", ")
    assert shown[several.name] == f"vllm {first} +{len(others)}"
    assert column.stop - column.start <= 30


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--arch", "943"], "known: 942 (MI300X, MI325X), 950 ("),
        (["plan", "--base", "7.2.99"], "unknown base '7.2.99'"),
        (["explain", "942"], "unknown cell '942'"),
        (["plan", "--matrix", "/proc/absent/m.yaml"], "name an existing file"),
        (["--jobs", "0"], "0 is not in the range"),
        (["--arhc", "942"], "--arch"),
        (["bild"], "No such command"),
        (["--rehearse", "plan"], "the verb stands first: python build.py plan --rehearse\n"),
        (
            ["-q", "--arch", "942", "plan", "--base", "7.2.0"],
            "the verb stands first: python build.py plan -q --arch 942 --base 7.2.0\n",
        ),
        (["--arch", "plan", "950"], "unexpected extra argument (950)\n"),
        (["--rehearse", "plane"], "unexpected extra argument (plane)\n"),
        (["build", "--rehearse", "plan"], "unexpected extra argument (plan)\n"),
        (["inventory", "image:tag"], "`inventory` is gone, and `sbom` took its place"),
        (["--context", "aiter"], "is not NAME=SOURCE"),
        (["--context", "aiter-source=."], "did you mean 'aiter-src'"),
        (["--context", "aiter-src=/proc/absent"], "is no folder"),
        (["--context", "aiter-src=https://a:SECRET@x.org/r.git"], "its address holds credentials"),
        (["--context", "aiter-src=HTTPS://SECRET@x.org/r.git"], "its address holds credentials"),
        (["--context", "aiter-src=http://SECRET:@x.org"], "its address holds credentials"),
        (["--context", "aiter-src=ssh://git:SECRET@x.org/r"], "its address holds credentials"),
        (["--context", "https://a:SECRET@x.org/r.git"], "https://***@x.org/r.git' is not NAME="),
        (["--context", "aiter-src=https://x.org/r?token=SECRET"], "its address holds credentials"),
        (["--no-units"], "--no-units is for what --cache takes and keeps"),
        (["--cache", "https://a:SECRET@x.org/c"], "'https://***@x.org/c' is no repository"),
        (["push", "--registry", "https://a:SECRET@x.org"], "'https://***@x.org' is no registry"),
        (["explain", "https://a:SECRET@x.org"], "unknown cell"),
        (["https://a:SECRET@x.org"], "No such command 'https://***@x.org'"),
        (["--context", "aiter-src=.", "--context", "aiter-src=."], "given twice"),
        (["smoke", "--image", "x:1", "--arch", "942"], "leave out --server, --arch"),
        (["lock", "--check", "--update", "sglang"], "leave out --update"),
        (["lock", "--update", "7.2.99"], "no base or source '7.2.99': known: "),
    ],
)
def test_bad_input_is_answered_with_a_sentence_and_exit_code_2(
    arguments: list[str], sentence: str
) -> None:
    answer = build_py(*arguments)
    assert sentence in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "SECRET" not in answer.stderr
    assert answer.returncode == 2


@pytest.mark.parametrize(
    "address",
    [
        "git@x.org:r.git",
        "ssh://git@x.org/r.git",
        "https://x.org/r.git#a@b",
        "docker-image://x.org/r:t@sha256:" + "0" * 64,
        "docker-image://r@sha256:" + "0" * 64,
        "oci-layout:///a@sha256:" + "0" * 64,
    ],
)
def test_an_address_without_credentials_may_have_an_at_sign(
    project_matrix: Matrix, address: str
) -> None:
    cells = cells_of(project_matrix)
    assert parse_contexts([f"aiter-src={address}"], cells) == {"aiter-src": address}


def test_a_bad_matrix_is_answered_with_its_place(matrix_file: MatrixFile) -> None:
    path = matrix_file(("gfx: gfx942", "gfx: rtx"))
    answer = build_py("plan", "--matrix", str(path))
    assert f"{path}:6:10: 'rtx' is not a gfx name" in answer.stderr
    assert answer.returncode == 2


@pytest.mark.parametrize("verb", [["--arch", "942"], ["smoke"]])
def test_without_an_engine_it_says_what_to_install(verb: list[str], tmp_path: Path) -> None:
    answer = build_py(*verb, DOCKER_HOST=f"unix://{tmp_path}/absent.sock")
    assert "no Docker Engine answers" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.returncode == 3


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"DOCKER_CONTEXT": "gone"}, "DOCKER_CONTEXT names the docker context gone, which does"),
        ({"DOCKER_HOST": "ssh://gpu-node"}, "this program does not go through ssh: run it on that"),
        (
            {"DOCKER_HOST": "tcp://127.0.0.1:9", "DOCKER_TLS_VERIFY": "1"},
            "DOCKER_TLS_VERIFY asks for TLS, and ",
        ),
        ({"DOCKER_HOST": "/var/run/docker.sock"}, "which is no address of an engine"),
    ],
)
@pytest.mark.parametrize("verb", [["--arch", "942"], ["smoke"]])
def test_an_engine_that_is_named_wrongly_is_a_sentence(
    verb: list[str], variables: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    given = {"DOCKER_HOST": "", "DOCKER_CERT_PATH": "", "DOCKER_CONFIG": str(tmp_path)}
    answer = build_py(*verb, **{**given, **variables})
    assert sentence in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.returncode == 3


def test_without_its_packages_it_says_how_to_get_them() -> None:
    answer = subprocess.run(
        [sys.executable, "-S", str(PROJECT / "build.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "make environment" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.returncode == 3


def test_render_check_passes_and_fails_with_its_own_code(matrix_file: MatrixFile) -> None:
    path = matrix_file()
    assert build_py("render", "--matrix", str(path), "--check").returncode == 5
    assert build_py("render", "--matrix", str(path)).returncode == 0
    assert build_py("render", "--matrix", str(path), "--check").returncode == 0
    dockerfile = path.parent / "images" / "sglang-942-rocm7.2.0" / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "RUN something\n")
    answer = build_py("render", "--matrix", str(path), "--check")
    assert "-RUN something" in answer.stdout
    assert answer.returncode == 5


def test_render_writes_elsewhere_when_told_to(tmp_path: Path) -> None:
    answer = build_py("render", "--output", str(tmp_path / "out"))
    assert answer.returncode == 0
    assert (tmp_path / "out" / "sglang-950-rocm7.2.2" / "Dockerfile").is_file()
    assert (tmp_path / "out" / "docker-bake.json").is_file()


def test_a_reader_that_stops_early_gets_no_traceback() -> None:
    words = ["bash", "-o", "pipefail", "-c", '"$@" | head -n 1', "bash", sys.executable]
    answer = subprocess.run(
        [*words, PROJECT / "build.py", "plan", "--json", "-q"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout == "[\n"
    assert answer.stderr == ""


@pytest.mark.parametrize(
    ("verb", "heavy"),
    [
        (["--help"], {"pydantic", "jinja2", "docker", "ssl"}),
        (["explain", "sglang-942-rocm7.2.0"], {"docker", "jinja2", "ssl"}),
        (
            ["plan"],
            {
                *("docker", "requests", "rich", "ssl"),
                *("rocm_images.registry.cosign", "rocm_images.registry.manifest"),
                *("rocm_images.smoke.evidence", "rocm_images.engine.client"),
            },
        ),
    ],
    ids=["--help", "explain", "plan"],
)
def test_quick_verbs_import_nothing_heavy(verb: list[str], heavy: set[str], tmp_path: Path) -> None:
    # Without a Docker configuration or socket no engine is expected, and the SDK is not loaded.
    environment = {k: v for k, v in os.environ.items() if k != "DOCKER_HOST"}
    answer = subprocess.run(
        [sys.executable, "-X", "importtime", str(PROJECT / "build.py"), *verb],
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rsplit("|", 1)[-1].strip() for line in answer.stderr.splitlines()}
    assert "rocm_images.cli.main" in imported
    assert not imported & heavy
