"""A cell is compared with what the program of an earlier commit made of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rocm_images.ci.at_commit import build_ids_at
from rocm_images.errors import InputError

# A program of another time: all that is asked of it is the plan, as JSON.
PROGRAM = """\
import json, pathlib, sys
assert sys.argv[1:3] == ["plan", "--json"] and sys.argv[3].startswith("--matrix=")
name = pathlib.Path(sys.argv[3].partition("=")[2]).read_text().strip()
suffix = "-rehearsal" if "--rehearse" in sys.argv else ""
if "--server=all" not in sys.argv: suffix += "-of-the-default-server"
print(json.dumps([{"cell": name, "build_id": "ID" + suffix}]))
"""


class History:
    """A git repository with a build.py and a matrix.yaml, which tests change and commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    @property
    def matrix(self) -> Path:
        return self.folder / "matrix.yaml"

    def git(self, *words: str) -> str:
        identity = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")
        words = ("git", "-C", str(self.folder), *identity, *words)
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, **files: str) -> str:
        for name, text in files.items():
            (self.folder / name.replace("_", ".")).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=a change")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def history(tmp_path: Path) -> History:
    found = History(tmp_path / "checkout")
    found.commit(build_py=PROGRAM, matrix_yaml="then")
    return found


def ids(history: History, revision: str, *, rehearse: bool = False) -> dict[str, str]:
    return build_ids_at(revision, history.matrix, ["--rehearse"] if rehearse else [])


def test_the_plan_is_made_by_the_program_and_the_matrix_of_that_commit(history: History) -> None:
    history.commit(build_py=PROGRAM.replace("ID", "NEW"), matrix_yaml="now")
    assert ids(history, "HEAD~1") == {"then": "ID"}
    assert ids(history, "HEAD") == {"now": "NEW"}
    assert ids(history, "HEAD", rehearse=True) == {"now": "NEW-rehearsal"}


def test_a_tag_a_branch_and_a_short_commit_name_it_too(history: History) -> None:
    history.git("tag", "--annotate", "--message=a release", "v1")
    commit = history.git("rev-parse", "--short", "HEAD")
    history.commit(matrix_yaml="now")
    assert ids(history, "v1") == ids(history, commit) == {"then": "ID"}
    assert ids(history, "main") == {"now": "ID"}


def test_the_checkout_is_left_as_it_was(history: History) -> None:
    history.commit(matrix_yaml="now")
    history.matrix.write_text("not committed")
    ids(history, "HEAD~1")
    assert history.matrix.read_text() == "not committed"
    assert history.git("worktree", "list").count("\n") == 0
    assert history.git("status", "--porcelain") == "M matrix.yaml"


@pytest.mark.parametrize("revision", ["nowhere", "v9", "--help", "0" * 40])
def test_an_unknown_commit_is_a_sentence(history: History, revision: str) -> None:
    with pytest.raises(
        InputError, match=r"git knows no commit .* name a branch, a tag or a commit"
    ):
        ids(history, revision)


def test_a_shallow_clone_is_told_how_to_become_whole(history: History, tmp_path: Path) -> None:
    before = history.git("rev-parse", "HEAD")
    history.commit(matrix_yaml="now")
    shallow = tmp_path / "shallow"
    subprocess.run(
        ["git", "clone", "--quiet", "--depth=1", f"file://{history.folder}", shallow], check=True
    )
    for revision in ("HEAD~1", before):
        with pytest.raises(InputError, match=r"shallow clone.*git fetch --unshallow"):
            build_ids_at(revision, shallow / "matrix.yaml", [])
    assert build_ids_at("HEAD", shallow / "matrix.yaml", []) == {"now": "ID"}


def test_a_folder_without_git_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a git checkout"):
        build_ids_at("HEAD", tmp_path / "matrix.yaml", [])


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import sys; sys.exit('build.py: pydantic is missing')", "pydantic is missing"),
        ("import sys; sys.exit(9)", "it ended with 9"),
        ("print('no JSON')", "its plan has no build ids"),
        ('print(\'[{"cell": "a"}]\')', "its plan has no build ids"),
    ],
)
def test_a_program_that_cannot_plan_is_a_sentence(
    history: History, program: str, reason: str
) -> None:
    history.commit(build_py=program)
    with pytest.raises(InputError, match=f"cannot be planned with its own build.py: .*{reason}"):
        ids(history, "HEAD")


def test_a_program_of_before_there_were_several_servers_plans_too(history: History) -> None:
    old = """
    import sys
    if "--server=all" in sys.argv: sys.exit("No such option: --server")
    """
    history.commit(build_py="\n".join(map(str.strip, old.splitlines())) + "\n" + PROGRAM)
    assert ids(history, "HEAD") == {"then": "ID-of-the-default-server"}


def test_a_plan_that_fails_for_another_reason_is_tried_once(
    history: History, tmp_path: Path
) -> None:
    tried = tmp_path / "tried"
    program = f"open({str(tried)!r}, 'a').write('x'); import sys; sys.exit('the matrix is odd')"
    history.commit(build_py=program)
    with pytest.raises(InputError, match=r"planned with its own build\.py: the matrix is odd"):
        ids(history, "HEAD")
    assert tried.read_text() == "x"
