"""The program as `pip install .` gives it: the command rocm-images, whole, without a checkout."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import site
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from rocm_images import __version__

PROJECT = Path(__file__).resolve().parents[3]
Command = Callable[..., subprocess.CompletedProcess[str]]
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


def run(*words: str | Path, **options: str | Path) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(*PIP, "wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={folder}", PROJECT)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def rocm_images(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The installed command, in an empty folder with a copy of the project's matrix.yaml."""
    folder = tmp_path_factory.mktemp("site")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    run(*PIP, f"--python={python}", "install", "--no-deps", "--no-index", wheel)
    # What it depends on is here already.
    (own,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (own / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    project = folder / "project"
    project.mkdir()
    shutil.copy2(PROJECT / "matrix.yaml", project)
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "DOCKER_HOST")}

    def command(
        *words: str, folder: Path = project, **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python.with_name("rocm-images"), *words],
            cwd=folder,
            env={**environment, "HOME": str(project.parent), **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return command


def test_the_command_calls_itself_by_its_name(rocm_images: Command) -> None:
    assert rocm_images("--version").stdout == f"rocm-images {__version__}\n"
    shown = rocm_images("plan", "--help").stdout
    assert "  rocm-images plan --arch 942 --json\n" in shown
    assert "matrix.yaml in this folder" in " ".join(shown.split())


def test_it_plans_the_very_images_of_the_checkout(rocm_images: Command) -> None:
    planned = json.loads(rocm_images("plan", "--json").stdout)
    build_py = [sys.executable, PROJECT / "build.py", "plan", "--json"]
    here = subprocess.run(build_py, capture_output=True, text=True, check=True).stdout
    ids = {cell["cell"]: cell["build_id"] for cell in json.loads(here)}
    assert {cell["cell"]: cell["build_id"] for cell in planned} == ids


def test_a_rehearsal_has_what_it_is_made_of(rocm_images: Command) -> None:
    planned = json.loads(rocm_images("plan", "--json", "--rehearse").stdout)
    words = ["plan", "--json", "--rehearse"]
    build_py = [sys.executable, PROJECT / "build.py", *words]
    here = subprocess.run(build_py, capture_output=True, text=True, check=True).stdout
    ids = {cell["cell"]: cell["build_id"] for cell in json.loads(here)}
    assert {cell["cell"]: cell["build_id"] for cell in planned} == ids


def test_a_rehearsal_names_no_makefile_and_its_engine_can_be_stopped(
    rocm_images: Command, tmp_path: Path
) -> None:
    python = Path(rocm_images("--version").args[0]).with_name("python")
    code = (
        "import rocm_images.places\n"
        "from rehearsal import stand_ins\n"
        "from rocm_images.engine import unreachable\n"
        "print(stand_ins._STOP, stand_ins._NOT_REHEARSED, unreachable._REHEARSE, sep='\\n')"
    )
    at = {"cwd": tmp_path, "capture_output": True, "text": True, "check": True, "timeout": 60}
    stop, *said = subprocess.run([python, "-c", code], **at).stdout.splitlines()
    assert [one[one.rindex(": ") :].replace("`", "") for one in said] == [
        ": first run rocm-images --rehearse",
        ": rocm-images --rehearse",
    ]
    assert subprocess.run(shlex.split(stop), **at).stdout == "it was not running\n"


def test_it_renders_beside_the_matrix(rocm_images: Command) -> None:
    failed = rocm_images("render", "--check")
    assert failed.returncode == 5
    assert "rocm-images: " in failed.stderr
    assert "run `rocm-images render`" in failed.stderr
    assert "wrote images/sglang-942-rocm7.2.0/Dockerfile" in rocm_images("render").stdout
    assert rocm_images("render", "--check").returncode == 0


def test_code_that_lies_in_the_folder_one_works_in_is_not_run(
    rocm_images: Command, tmp_path: Path
) -> None:
    rocm_images("init", str(tmp_path))
    done = rocm_images("render", folder=tmp_path, PYTHONDONTWRITEBYTECODE="")
    assert done.returncode == 0, done.stderr
    # What would be kept there would be read there.
    assert not (tmp_path / ".cache" / "templates").exists()


def test_it_begins_a_project_that_is_ready_to_plan_and_render(
    rocm_images: Command, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    assert "matrix.schema.json" in rocm_images("init", str(new)).stdout
    text = (new / "matrix.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=matrix.schema.json\n")
    assert "`rocm-images plan`" in text
    assert "build.py" not in text
    planned = json.loads(rocm_images("plan", "--json", folder=new).stdout)
    ours = json.loads(rocm_images("plan", "--json").stdout)
    assert [cell["build_id"] for cell in planned] == [cell["build_id"] for cell in ours]
    rocm_images("render", folder=new)
    assert rocm_images("render", "--check", folder=new).returncode == 0
    again = rocm_images("init", str(new))
    assert again.returncode == 2
    assert "is there already" in again.stderr


def test_a_matrix_of_another_folder_is_refused_and_one_of_another_name_is_not(
    rocm_images: Command, tmp_path: Path
) -> None:
    rocm_images("init", str(tmp_path))
    refused = rocm_images("plan", "--matrix", str(tmp_path / "matrix.yaml"))
    assert "call rocm-images there" in refused.stderr
    assert refused.returncode == 2
    (tmp_path / "matrix.yaml").rename(tmp_path / "other.yaml")
    absent = rocm_images("plan", folder=tmp_path)
    assert "begin one by `rocm-images init`" in absent.stderr
    named = rocm_images("plan", "--matrix", str(tmp_path / "other.yaml"), folder=tmp_path)
    assert named.returncode == 0


def test_a_projects_own_template_takes_the_place_of_the_programs(
    rocm_images: Command, tmp_path: Path
) -> None:
    rocm_images("init", str(tmp_path))
    before = json.loads(rocm_images("plan", "--json", folder=tmp_path).stdout)
    own = tmp_path / "templates" / "parts" / "serving.j2"
    own.parent.mkdir(parents=True)
    own.write_text((PROJECT / "templates/parts/serving.j2").read_text() + "ENV OURS=1\n")
    told = rocm_images("plan", "--json", "-v", folder=tmp_path)
    assert f"template: {own}, in place of the program's" in told.stderr
    after = json.loads(told.stdout)
    assert not {cell["build_id"] for cell in before} & {cell["build_id"] for cell in after}
    rocm_images("render", folder=tmp_path)
    assert (
        "ENV OURS=1\n" in (tmp_path / "images" / "sglang-942-rocm7.2.0" / "Dockerfile").read_text()
    )


def test_a_projects_own_files_come_into_its_images_over_the_programs(
    rocm_images: Command, tmp_path: Path
) -> None:
    def planned() -> list[str]:
        cells = json.loads(rocm_images("plan", "--json", folder=tmp_path).stdout)
        return [cell["build_id"] for cell in cells]

    def whole() -> Path:
        """The folder that images are built from, by the bake file, which is rendered first."""
        rocm_images("render", folder=tmp_path)
        bake = json.loads((tmp_path / "docker-bake.json").read_text())
        (context,) = {target["context"] for target in bake["target"].values()}
        return tmp_path / context

    rocm_images("init", str(tmp_path))
    before, own = planned(), tmp_path / "images" / "rootfs"
    motd, program = own / "etc" / "motd", own / "usr" / "local" / "bin" / "graph-probe"
    motd.parent.mkdir(parents=True)
    motd.write_text("of our site")
    with_motd = planned()
    assert not {*before} & {*with_motd}
    assert (whole() / "etc" / "motd").read_text() == "of our site"
    theirs = whole() / "usr" / "local" / "bin" / "graph-probe"
    assert theirs.read_text() == (PROJECT / "images/rootfs/usr/local/bin/graph-probe").read_text()
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    assert not {*with_motd} & {*planned()}
    assert (whole() / "usr" / "local" / "bin" / "graph-probe").read_text() == "#!/bin/sh\n"
    program.unlink()
    assert planned() == with_motd


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\n{% if %}\n", ":2: Expected an expression, got 'end of statement block'"),
        ("\n\n{{ cell.nothing }}\n", ":3: "),
        ("{% include 'parts/nowhere.j2' %}", ":1: 'parts/nowhere.j2'"),
    ],
)
def test_a_mistake_in_a_projects_own_template_is_said_with_its_place(
    rocm_images: Command, tmp_path: Path, text: str, problem: str
) -> None:
    rocm_images("init", str(tmp_path))
    own = tmp_path / "templates" / "parts" / "serving.j2"
    own.parent.mkdir(parents=True)
    own.write_text(text)
    refused = rocm_images("render", folder=tmp_path)
    assert f"rocm-images: {own}{problem}" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert refused.returncode == 2


def test_its_words_complete_in_a_shell(rocm_images: Command) -> None:
    words = {"_ROCM_IMAGES_COMPLETE": "bash_complete", "COMP_CWORD": "1"}
    shown = rocm_images(**words, COMP_WORDS="rocm-images ren").stdout
    assert shown == "plain,render\n"
    assert "plain,--arch\n" in rocm_images(**words, COMP_WORDS="rocm-images --a").stdout
    words["COMP_CWORD"] = "2"
    assert "plain,--arch\n" in rocm_images(**words, COMP_WORDS="rocm-images plan --a").stdout


def test_the_wheel_has_what_the_images_are_tested_with_and_nothing_that_was_made(
    wheel: Path,
) -> None:
    names = ZipFile(wheel).namelist()
    parts = {name.removeprefix("rocm_images/parts/") for name in names if "/parts/" in name}
    listed = subprocess.run(
        ["git", "-C", PROJECT, "ls-files", "--cached", "--others", "--exclude-standard"]
        + ["matrix.yaml", "templates", "images/rootfs", "tests/image", "emulation", "rehearsal"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert parts == set(listed)
    outside = {name.split("/")[0] for name in names}
    assert outside == {"rocm_images", f"rocm_serving_images-{__version__}.dist-info"}


def test_what_it_depends_on_is_what_build_py_needs(wheel: Path) -> None:
    with ZipFile(wheel) as files:
        (name,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = files.read(name).decode()
    wanted = {line for line in metadata.splitlines() if line.startswith("Requires-Dist: ")}
    lines = (PROJECT / "requirements.in").read_text().splitlines()
    needed = {f"Requires-Dist: {line}" for line in lines if not line.startswith("#")}
    assert wanted == needed


def test_a_probe_needs_no_project(rocm_images: Command, tmp_path: Path) -> None:
    done = rocm_images("probe", "image:tag", folder=tmp_path, DOCKER_HOST="unix:///proc/absent")
    assert (done.returncode, "matrix" in done.stderr) == (3, False)
    named = rocm_images("probe", "image:tag", "--matrix", "absent.yaml", folder=tmp_path)
    assert named.returncode == 2
