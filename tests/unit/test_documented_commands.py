"""Every command in README.md and docs/ is in documented.py, and is run as it says there."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from click.testing import CliRunner
from documented import COMMANDS, RUNS
from markdown_it import MarkdownIt

from made_up_catalogue import catalogue
from rocm_images.catalogue.file import write
from rocm_images.cli.main import main
from rocm_images.matrix.schema import Matrix
from rocm_images.places import STATE

PROJECT = Path(__file__).resolve().parents[2]
TESTS = PROJECT / "tests"
IMAGE_PROGRAMS = PROJECT / "images" / "rootfs" / "opt" / "rocm-images"
sys.path.insert(0, str(IMAGE_PROGRAMS))

from graph_probe.options import parse as parse_probe  # noqa: E402
from serve_probe.judge_command import main as judge  # noqa: E402
from serve_probe.options import parse as parse_serve  # noqa: E402

PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
SHELL = {"console", "bash", "sh", "shell"}
# What an indented block of commands begins a line with.
PROGRAMS = re.compile(
    r"^(?:\w+=\S* )?(?:\S*/)?(?:build\.py|rocm-images|make|docker|kubectl|helm|graph-probe"
    r"|docker-buildx|image-doctor|cosign|jq|grep|git|cd|eval|pip|pipx|uv|npm|npx|sudo|curl|oras|syft|trivy|engine\.py"
    r"|laboratory\.py|run_fuzz\.py|sphinx-build|python3?)(?: |$)"
)
OPERATORS = {"|", "||", "&&", ";", ">", ">>", "<", "&", "(", ")", "|&", ">&"}


class Block(NamedTuple):
    """A block of commands, and where it stands."""

    page: str
    line: int
    text: str


def blocks() -> Iterator[Block]:
    """The blocks of commands in all pages: by their word, or by a program that begins a line."""
    for page in PAGES:
        for token in MarkdownIt("commonmark").enable("table").parse(page.read_text()):
            named = token.type == "fence" and token.info.strip() in SHELL
            plain = token.type == "code_block" or (token.type == "fence" and not token.info.strip())
            if named or (plain and any(map(PROGRAMS.match, token.content.splitlines()))):
                yield Block(page.name, (token.map or [0])[0] + 1, token.content)


def commands(text: str) -> list[str]:
    """The commands of a block as documented.py has them."""
    lines = text.replace("\\\n", " ").splitlines()
    bare = (re.sub(r"(?:^|\s+)#\s.*", "", line) for line in lines)
    short = (
        re.sub(r"(?:\.venv/bin/python build\.py|\brocm-images(?= ))", "build.py", b) for b in bare
    )
    return [" ".join(line.split()) for line in short if line.strip()]


BLOCKS = list(blocks())
SHOWN = {
    command: f"{block.page}:{block.line}" for block in BLOCKS for command in commands(block.text)
}


def calls(command: str, program: str) -> list[list[str]]:
    """The arguments of each call of a program in a line, without what a shell takes for itself."""
    lexer = shlex.shlex(
        re.sub(r"[\[\]]|\.\.\.", "", command), posix=True, punctuation_chars="|&;<>()"
    )
    lexer.whitespace_split, lexer.commenters = True, ""
    found: list[list[str]] = []
    inside = False
    for word in lexer:
        if word in OPERATORS:
            inside = False
        elif inside:
            found[-1].append(word)
        elif word.rpartition("/")[2] == program:
            found.append([])
            inside = True
    return found


def test_every_command_of_the_documents_is_in_the_list() -> None:
    missing = [f"{place}: {command}" for command, place in SHOWN.items() if command not in COMMANDS]
    assert missing == [], "each wants a line in tests/unit/documented.py"


def test_every_command_of_the_list_is_in_a_document() -> None:
    assert [command for command in COMMANDS if command not in SHOWN] == []


def test_a_block_of_commands_is_found_however_it_is_written() -> None:
    assert {block.page for block in BLOCKS} >= {
        "README.md",
        "publish.md",
        "serve.md",
        "cluster.md",
    }
    assert commands("a --b \\\n  c   # why\n# only why\nrocm-images plan") == [
        "a --b c",
        "build.py plan",
    ]
    assert calls("x $(build.py run-args TAG) y | build.py a > b", "build.py") == [
        ["run-args", "TAG"],
        ["a"],
    ]


def parsed(arguments: list[str]) -> None:
    """By the real command line, down to the verb of a verb; raises where it is not understood."""
    first = arguments[0] if arguments and not arguments[0].startswith("-") else "build"
    rest = arguments[1:] if first in arguments[:1] else arguments
    verb: click.Command = main.commands[first]
    if isinstance(verb, click.Group):
        verb, rest = verb.commands[rest[0]], rest[1:]
    verb.make_context(first, list(rest))


@pytest.mark.parametrize("command", [c for c in SHOWN if calls(c, "build.py")])
def test_every_command_of_build_py_is_understood(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("cosign.key", "cosign.pub", "evidence.json", "before.json", "after.json", "FILE"):
        (tmp_path / name).touch()
    for arguments in calls(command, "build.py"):
        parsed(arguments)


@pytest.mark.parametrize("command", [c for c in SHOWN if calls(c, "graph-probe")])
def test_every_command_of_graph_probe_is_understood(command: str) -> None:
    for verb, *arguments in calls(command, "graph-probe"):
        if verb == "judge":
            assert COMMANDS[command] == RUNS
        elif verb == "serve":
            parse_serve(arguments)
        else:
            assert parse_probe([verb, *arguments]).command == verb


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}:{block.line}")
def test_a_shell_takes_every_block(block: Block) -> None:
    done = subprocess.run(
        ["bash", "-n"], input=block.text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


INLINE = {name for page in PAGES for name in re.findall(r"`make ([a-z-]+)", page.read_text())}
TARGETS = sorted(INLINE | {name for c in SHOWN for words in calls(c, "make") for name in words})


def test_every_target_of_make_is_there() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "--silent", *TARGETS, f"PYTHON={sys.executable}"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(TARGETS) > 5
    assert done.returncode == 0, done.stderr


def beside(path: Path) -> str:
    """A test's file with the modules of the tests that it imports, and its conftest.py."""
    text = path.read_text()
    names = re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE)
    others = [path.with_name("conftest.py")]
    others += [
        folder / f"{name}.py" for name in names for folder in (path.parent, TESTS / "made_up")
    ]
    return "\n".join([text, *(one.read_text() for one in others if one.is_file())])


def wanted(command: str) -> list[str]:
    """The verb and the options of a documented command, which the test that runs it has to name."""
    words: list[str] = []
    for program in ("build.py", "graph-probe"):
        for arguments in calls(command, program):
            own = arguments[: arguments.index("--")] if "--" in arguments else arguments
            words += [word for word in own if word.startswith("--")]
            words += [word for word in own[:1] if not word.startswith("-")]
    return words


@pytest.mark.parametrize("command", [c for c, how in COMMANDS.items() if how.tests])
def test_the_test_that_runs_a_command_is_there_and_names_its_verb_and_options(command: str) -> None:
    said = ""
    for test in COMMANDS[command].tests:
        path, _, name = test.partition("::")
        assert re.search(rf"^def {name}\b", (TESTS / path).read_text(), re.MULTILINE), name
        said += beside(TESTS / path)
    assert [word for word in wanted(command) if not re.search(rf"{word}\b", said)] == []


LOG = TESTS / "data" / "serve_logs" / "fail_oom.log"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project_matrix: Matrix) -> Path:
    """A folder in which the commands that need no engine find what they name, and write."""
    path = tmp_path / "build" / "catalogue.json"
    path.parent.mkdir()
    write(path, catalogue(project_matrix))
    (tmp_path / "server.log").symlink_to(LOG)
    for module in [one for name, one in sys.modules.items() if name.startswith("rocm_images.")]:
        for name, value in list(vars(module).items()):
            if isinstance(value, Path) and value.is_relative_to(STATE):
                monkeypatch.setattr(module, name, path.parent / value.relative_to(STATE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    return tmp_path


@pytest.mark.parametrize("command", [c for c, how in COMMANDS.items() if how == RUNS])
def test_what_needs_no_engine_runs(
    command: str, folder: Path, project_matrix: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = catalogue(project_matrix).images[0].tags[0]
    done = [
        CliRunner().invoke(main, [tag if word == "TAG" else word for word in arguments])
        for arguments in calls(command, "build.py")
    ]
    assert [(one.output, one.exception) for one in done if one.exit_code] == []
    judged = []
    for _, *arguments in calls(command, "graph-probe"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LOG.read_bytes())))
        judged.append(judge([word.replace("*", "server") for word in arguments]))
    assert set(judged) <= {41}
    assert done or judged
