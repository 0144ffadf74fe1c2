"""The help says what each verb is for, by examples that work; -v and -q are what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from made_up_engine import made_up_engine
from rocm_images import __version__, telling
from rocm_images.build.progress import progress_for
from rocm_images.build.run import _report
from rocm_images.build.summary import CellReport
from rocm_images.build.summary import Result as Outcome
from rocm_images.cli.guide import VERBS, examples_of
from rocm_images.cli.main import main
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.servers import DEFAULT, SERVERS

PROJECT = Path(__file__).resolve().parents[3]
MatrixFile = Callable[..., Path]


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    telling.set_volume(telling.Volume.NORMAL)


def called(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def parse(command: click.Command, name: str, arguments: list[str]) -> None:
    """Parse a command line to its end, and run nothing of it."""
    context = command.make_context(name, arguments)
    if isinstance(command, click.Group):
        verb, below, rest = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        assert below is not None
        parse(below, str(verb), rest)


def test_every_verb_has_one_group() -> None:
    assert sorted(verb for verbs in VERBS.values() for verb in verbs) == sorted(main.commands)


@pytest.mark.parametrize(
    "example", [one for verbs in VERBS.values() for verb in verbs for one in examples_of(verb)]
)
def test_every_example_is_understood(example: str) -> None:
    parse(main, "build.py", shlex.split(example))


@pytest.mark.parametrize(
    ("option", "verbs"),
    [
        ("--from", {"catalogue": "FILE this catalogue.json", "publish": "FILE `bundle` wrote"}),
        ("--to", {"mirror": "ADDRESS the registry to", "rollback": "IMMUTABLE_TAG image in --reg"}),
        (
            "--not-before",
            {
                "prune": "DATE you last published",
                "publish": "DATE With --from, refuse",
                **dict.fromkeys(("pull", "mirror", "bundle"), "DATE Refuse an image"),
            },
        ),
    ],
)
def test_an_option_of_two_meanings_says_which_it_has_here(
    option: str, verbs: dict[str, str]
) -> None:
    having = {
        name: one
        for name, verb in main.commands.items()
        for one in verb.params
        if option in one.opts
    }
    assert set(having) == set(verbs)
    for name, said in verbs.items():
        metavar, _, words = said.partition(" ")
        assert having[name].metavar == metavar
        assert words in str(having[name].help), name
    helps = {name: str(one.help) for name, one in having.items()}
    if option != "--not-before":
        for name, text in helps.items():
            assert all(f"`{other} {option}`" in text for other in set(helps) - {name})


def test_what_is_not_understood_is_found() -> None:
    with pytest.raises(click.UsageError):
        parse(main, "build.py", ["plan", "--arhc", "942"])
    with pytest.raises(click.UsageError):
        parse(main, "build.py", ["evidence", "verify", "one.json", "two.json"])


@pytest.mark.parametrize("verb", sorted(main.commands))
def test_each_verbs_help_has_its_examples(verb: str) -> None:
    shown = called(verb, "--help").output
    assert examples_of(verb)
    # A long one is told over several lines, as a shell takes it.
    lines = shown.replace(" \\\n      ", " ")
    for example in examples_of(verb):
        assert f"    build.py {example}\n" in lines


@pytest.mark.parametrize("verb", ["", *sorted(main.commands)])
@pytest.mark.parametrize("columns", [80, 140])
def test_no_line_of_the_help_is_longer_than_the_terminal(
    verb: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = called(*verb.split(), "--help").output.splitlines()
    assert max(map(len, lines)) <= columns


@pytest.mark.parametrize("verb", ["explain", "pick", "deploy"])
def test_examples_are_of_a_second_server_too(verb: str) -> None:
    shown = called(verb, "--help").output.partition("Examples:")[2]
    assert [name for name in SERVERS if name in shown and name != DEFAULT.name]
    assert "{" not in shown


def test_the_help_shows_the_groups_in_order() -> None:
    shown = called("--help").output
    places = [shown.index(f"\n{title}:\n") for title in VERBS]
    assert places == sorted(places)


def test_the_groups_are_the_readmes() -> None:
    text = (
        (PROJECT / "README.md")
        .read_text()
        .partition("## The verbs")[2]
        .partition("`build.py VERB")[0]
    )
    found: dict[str, set[str]] = {}
    for title, verbs in VERBS.items():
        rest = re.split(rf"\b{title}\b", text)
        assert len(rest) == 2, f"{title!r} stands once below `The verbs`"
        text = rest[1]
        others = "|".join(name for name in VERBS if name != title)
        block = re.split(rf"\b(?:{others})\b", text)[0]
        named = re.findall(r"(?:build\.py |`|for )([a-z-]+)", block)
        found[title] = {name for name in named if name in main.commands and name != "build"}
        assert found[title] == set(verbs) - {"build"}


def test_the_version_is_the_packages() -> None:
    assert called("--version").output == f"build.py {__version__}\n"


@pytest.mark.parametrize("before", [True, False])
def test_verbose_says_which_files_and_engine_were_used(
    matrix_file: MatrixFile, before: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")
    path = str(matrix_file())
    words = ["plan", "--matrix", path]
    loud = called("-v", *words) if before else called(*words, "-v")
    assert f"matrix: {path}, 4 cells" in loud.stderr
    missed = f"build.py: warning: no Docker Engine answers at unix://{tmp_path}/absent.sock"
    assert missed in loud.stderr
    assert f"lock: there is no {path.removesuffix('yaml')}lock" in loud.stderr
    # What was said is not said by the next run, and the answer is the same.
    assert called(*words).stderr.startswith(missed)
    assert len(called(*words).stderr.splitlines()) == 1
    assert called(*words).stdout == loud.stdout
    assert called(*words, "-q").stderr == ""


def test_every_run_says_once_which_engine_it_uses(
    matrix_file: MatrixFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = ("plan", "--matrix", str(matrix_file()))
    with made_up_engine(tmp_path / "engine.sock") as engine:
        engine.answers["GET /images/json"] = lambda _: (200, [])
        monkeypatch.setenv("DOCKER_HOST", engine.engine.address)
        said = f"engine: Docker Engine 26.1 at {engine.engine.address} (DOCKER_HOST)\n"
        for _ in range(2):
            assert called(*words).stderr == said
        assert called(*words, "-q").stderr == ""
        assert called(*words, "-v").stderr.count("engine: Docker Engine") == 1


def test_quiet_leaves_the_answer_and_nothing_else(matrix_file: MatrixFile) -> None:
    path = str(matrix_file())
    assert called("plan", "--matrix", path, "-q").stdout == called("plan", "--matrix", path).stdout
    assert called("-q", "render", "--matrix", path).output == ""
    (Path(path).parent / "docker-bake.json").unlink()
    assert "wrote" in called("render", "--matrix", path).stdout


def test_quiet_and_verbose_contradict_each_other() -> None:
    assert "leave out either" in str(called("-q", "plan", "-v").exception)


@pytest.mark.parametrize(
    ("volume", "steps"), [(telling.Volume.QUIET, ""), (telling.Volume.NORMAL, "a  builds\n")]
)
def test_quiet_shows_no_steps(
    volume: telling.Volume, steps: str, capsys: pytest.CaptureFixture[str]
) -> None:
    telling.set_volume(volume)
    with progress_for(["a"]) as progress:
        progress.step("a", "builds")
    assert capsys.readouterr().err == steps


def test_quiet_shows_failures_and_the_final_table(
    project_matrix: Matrix,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("rocm_images.build.run.STATE", tmp_path)
    report = CellReport.of(cells_of(project_matrix)[0], Outcome.DONE)
    telling.set_volume(telling.Volume.QUIET)
    failure = "RUN make: no such file"
    _report([report.failed(Outcome.BUILD_FAILED, detail=failure, tail=(), log=tmp_path)])
    shown = capsys.readouterr()
    assert failure in shown.err
    assert shown.out.startswith("CELL")


def test_make_help_shows_every_target() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert targets
    shown = subprocess.run(
        ["make", "--silent", "help"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    assert sorted(line.split()[0] for line in shown.splitlines()) == sorted(targets[1].split())
    assert all(len(line.split()) > 1 for line in shown.splitlines())
