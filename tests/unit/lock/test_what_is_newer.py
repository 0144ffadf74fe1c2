"""`lock --check` says what is newer and what cannot be asked; neither changes its exit code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from made_up_registry import MadeUpRegistry, Request, says
from rocm_images.cli.main import main
from rocm_images.errors import InputError, LockDrift, LockIncomplete
from rocm_images.lock import file as lock
from rocm_images.lock import update, upstream
from rocm_images.lock.changes import Wanted
from rocm_images.lock.upstream import Resolution, Unresolved, tags_at
from rocm_images.places import PROJECT

NEWER = "rocm7.3_py3.12_torch2.10.0"
DIGEST, COMMIT = f"sha256:{'1' * 64}", "2" * 40


@pytest.fixture
def registry() -> Iterator[MadeUpRegistry]:
    """Has one newer base."""
    with MadeUpRegistry() as found:
        names = ["rocm7.2.2_py3.10_torch2.9.1", NEWER, "latest", "x\x1b]0;y\x07"]

        def answer(request: Request) -> None:
            assert request.path.startswith("/v2/rocm/pytorch/tags/list")
            request.answer(json.dumps({"tags": names}).encode())

        found.answers = answer
        yield found


@pytest.fixture
def matrix(
    registry: MadeUpRegistry,
    matrix_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Its bases are in the registry, everything is locked, and git knows of two releases."""
    image = f"{registry.address}/rocm/pytorch:rocm{{}}_py3.10_torch2.9.1\n"
    path = matrix_file(
        ("rocm/pytorch:rocm7.2\n", image.format("7.2")),
        ("rocm/pytorch:rocm7.2.2\n", image.format("7.2.2")),
    )
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\nfor ref in v0.5.21 v0.5.22 v0.6.0rc1; do\n"
        f'printf "{COMMIT}\\trefs/tags/%s\\n" "$ref"; done\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(upstream, "connect_if_any", lambda: None)
    monkeypatch.setattr(upstream, "digest_by_buildx", lambda *_: DIGEST)
    assert run(path).exit_code == 0
    return path


def run(path: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["lock", f"--matrix={path}", *words], catch_exceptions=False)


def test_what_is_newer_is_said_and_is_no_difference_of_the_lock(matrix: Path) -> None:
    answer = run(matrix, "--check", f"--report={matrix.parent}/page.md")
    assert answer.exit_code == 0
    lines = answer.stdout.splitlines()
    assert lines[0].startswith("newer base 7.3.0: 127.0.0.1:")
    assert "(Python 3.10 -> 3.12, torch 2.9.1 -> 2.10.0; newest here 7.2.2)" in lines[0]
    assert lines[2] == "newer release of sglang: v0.5.22 (newest here 0.5.21)"
    assert lines[-1] == f"{matrix.with_suffix('.lock')} is up to date"
    page = (matrix.parent / "page.md").read_text()
    assert page.startswith("Nothing moved.\n\n### What is newer upstream")
    assert "\x1b" not in answer.output + page


def test_for_machines_it_is_one_object_with_the_same_exit_codes(matrix: Path) -> None:
    answer = run(matrix, "--check", "--json")
    found = json.loads(answer.stdout)
    page = (PROJECT / "docs" / "lock.md").read_text().partition("## For machines")[2]
    assert list(found) == re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert (found["moved"], found["unresolved"], found["not_asked"]) == ([], [], [])
    (base,) = found["newer_bases"]
    assert (base["rocm"], base["python"], base["torch"]) == ("7.3.0", "3.12", "2.10.0")
    assert base["image"].endswith(f"/rocm/pytorch:{NEWER}")
    assert base["newest_here"]["rocm"] == "7.2.2"
    assert (base["newest_here"]["python"], base["newest_here"]["torch"]) == ("3.10", "2.9.1")
    assert base["servers"] == [
        {
            "server": "sglang",
            "fits": True,
            "cannot": [],
            "advisories": {"come": [], "go": []},
            "all_reduce": [{"before": "aiter", "after": "aiter"}],
        }
    ]
    (release,) = found["newer_releases"]
    assert (release["server"], release["ref"], release["version"]) == (
        "sglang",
        "v0.5.22",
        "0.5.22",
    )
    assert release["newest_here"] == {"version": "0.5.21"}
    assert [one["fits"] for one in release["servers"]] == [True]


def test_for_machines_what_moved_has_its_cells_and_what_did_not_answer_its_reason(
    matrix: Path, registry: MadeUpRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = matrix.with_suffix(".lock")
    path.write_text(path.read_text().replace(COMMIT, "3" * 40))
    registry.answers = says(404)

    def gone(image: str, *_: object) -> str:
        raise Unresolved("no answer from https://someone:SECRET@r.example.org")

    monkeypatch.setattr(upstream, "digest_by_buildx", gone)
    page = matrix.parent / "page.md"
    words = ["lock", f"--matrix={matrix}", "--check", "--json", f"--report={page}"]
    answer = CliRunner().invoke(main, words)
    assert isinstance(answer.exception, LockDrift)
    found = json.loads(answer.stdout)
    (moved,) = found["moved"]
    assert (moved["was"], moved["is_now"]) == ("3" * 40, COMMIT)
    assert moved["name"].endswith("#v0.5.21")
    assert len(moved["cells"]) == 4
    assert [one["entry"] for one in found["unresolved"]] == [DIGEST, DIGEST]
    assert all("***@r.example.org" in one["why"] for one in found["unresolved"])
    assert "its registry has no list" in found["not_asked"][0]
    assert "SECRET" not in answer.output
    # People read it beside.
    assert "not resolved" in answer.stderr
    assert "What moved" in page.read_text()


def test_what_fits_no_variant_is_for_machines_too(
    matrix: Path,
) -> None:
    text = matrix.read_text()
    narrow = '      aiter:\n        for: {rocm: "<7.3"}\n        git'
    matrix.write_text(text.replace("      aiter:\n        git", narrow).replace("<7.2.1", "<7.2.9"))
    (base,) = json.loads(run(matrix, "--check", "--json").stdout)["newer_bases"]
    (server,) = base["servers"]
    assert not server["fits"]
    assert server["cannot"][0].startswith("no variant of 'aiter' fits sglang-942-rocm7.3.0 ")
    assert server["advisories"] == {"come": [], "go": ["hip-event-query"]}
    assert server["all_reduce"] == []


def test_only_a_check_is_for_machines(matrix: Path) -> None:
    with pytest.raises(InputError, match="add --check"):
        run(matrix, "--json")


def test_on_a_terminal_failures_and_names_have_lines_of_its_width(
    matrix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = "Could not resolve host: github.com"
    names = {Wanted(one, (), git=True): gone for one in HOSTS}
    monkeypatch.setattr(update, "resolve", lambda *_: Resolution({}, names))
    monkeypatch.setenv("COLUMNS", "60")
    answer = CliRunner().invoke(main, ["lock", f"--matrix={matrix}", "--update=7.2.2"])
    lines = answer.stderr.splitlines()
    assert lines[0].startswith("build.py: 5 names: not resolved (Could not resolve host:")
    assert [line.strip(" ,") for line in lines if line.startswith("  https")] == HOSTS
    assert max(map(len, lines)) < 60


def test_a_lock_alone_asks_for_no_list(matrix: Path, registry: MadeUpRegistry) -> None:
    assert registry.asked == []
    assert run(matrix, "--update", "7.2.2", f"--report={matrix.parent}/page.md").exit_code == 0
    assert registry.asked == []


def test_a_mirror_without_a_list_is_a_sentence_and_the_check_goes_on(
    matrix: Path, registry: MadeUpRegistry
) -> None:
    registry.answers = says(404)
    answer = run(matrix, "--check")
    assert answer.exit_code == 0
    assert (
        f"{registry.address}/rocm/pytorch: its tags are not known, so newer bases are not looked "
        "for: its registry has no list of them\n"
    ) in answer.stderr
    # Its git server is asked all the same.
    assert "newer release of sglang: v0.5.22" in answer.stdout


def test_a_git_server_that_does_not_answer_is_one_too(
    matrix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (matrix.parent / "bin" / "git").write_text(
        '#!/bin/sh\ncase "$*" in *--tags*) echo "fatal: \x1b[2J no" >&2; exit 128 ;; esac\n'
        f'printf "{COMMIT}\\trefs/tags/v0.5.21\\n"\n'
    )
    answer = run(matrix, "--check")
    assert answer.exit_code == 0
    assert "newer releases are not looked for: \\u001b[2J no" in answer.stderr
    assert "newer base 7.3.0" in answer.stdout


def test_a_check_without_a_lock_says_that_there_is_none_yet(matrix: Path) -> None:
    path = matrix.with_suffix(".lock")
    path.unlink()
    with pytest.raises(LockDrift) as found:
        run(matrix, "--check")
    assert str(found.value).startswith(f"there is no {path} yet: run `python build.py lock`")
    assert not path.exists()


HOSTS = [f"https://github.com/team/part{number}.git#v1" for number in range(5)]


@pytest.mark.parametrize("known", [False, True])
def test_one_reason_of_many_names_is_told_once_with_how_many(
    matrix: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    gone = "Could not resolve host: github.com"
    unresolved = {
        Wanted(one, (), git=True): f"unable to access '{one.partition('#')[0]}/': {gone}"
        for one in HOSTS
    }
    unresolved |= {
        Wanted(
            f"rocm/x:{tag}", (), git=False
        ): f'Head "https://r/v2/x/manifests/{tag}": no such host'
        for tag in "abc"
    }
    unresolved |= {Wanted(f"rocm/y:{tag}", (), git=False): "not found" for tag in "ab"}
    monkeypatch.setattr(update, "resolve", lambda *_: Resolution({}, unresolved))
    entries = {one.key: COMMIT if one.git else DIGEST for one in unresolved} if known else {}
    bases = {key: value for key, value in entries.items() if "#" not in key}
    sources = {key: value for key, value in entries.items() if "#" in key}
    held = lock.EMPTY.model_copy(update={"bases": bases, "sources": sources})
    monkeypatch.setattr(lock, "read", lambda path: held)
    page = matrix.parent / "page.md"
    answer = CliRunner().invoke(
        main, ["lock", f"--matrix={matrix}", "--update=7.2.2", f"--report={page}"]
    )
    assert isinstance(answer.exception, LockIncomplete)
    stay = "their entries stay" if known else "they have no entry yet"
    said = [line.removeprefix("build.py: ") for line in answer.stderr.splitlines()]
    assert said[:2] == [
        f"5 names: not resolved ({gone}): {stay}: {', '.join(HOSTS)}",
        f"3 names: not resolved (no such host): {stay}: rocm/x:a, rocm/x:b, rocm/x:c",
    ]
    # A few are told each for itself, and the page has all.
    assert [line.partition(":")[0] for line in said[2:4]] == ["rocm/y", "rocm/y"]
    assert page.read_text().count("not resolved") == len(unresolved)


def test_the_newest_base_is_taken_into_the_matrix_and_locked(matrix: Path) -> None:
    answer = run(matrix, "--take")
    assert answer.exit_code == 0
    assert "  7.3.0:\n    image: 127.0.0.1:" in matrix.read_text()
    assert f"{NEWER}: {DIGEST}" in matrix.with_suffix(".lock").read_text()
    # Then there is none.
    text = matrix.read_text()
    assert "newer base" not in run(matrix, "--take").stdout
    assert matrix.read_text() == text


@pytest.mark.parametrize("words", [("--check", "--take"), ("--update", "7.2.2", "--take")])
def test_what_takes_a_base_does_nothing_else_beside(matrix: Path, words: tuple[str, ...]) -> None:
    text = matrix.read_text()
    assert run_ending(matrix, *words) == 2
    assert matrix.read_text() == text


def run_ending(path: Path, *words: str) -> int:
    with pytest.raises(InputError, match="leave out --update") as raised:
        run(path, *words)
    return int(raised.value.exit_code)


def test_an_answer_without_an_end_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\nexec yes\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(upstream, "MOST_BYTES", 1 << 20)
    with pytest.raises(Unresolved, match="an answer larger than 1 MiB"):
        tags_at("https://example.org/s.git")
