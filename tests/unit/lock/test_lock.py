"""matrix.lock as a file, and what it says about the names of a matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from rocm_images.errors import ExitCode, InputError, LockError
from rocm_images.lock.changes import Change, Wanted, changes, chosen, renewed, unlocked, wanted_of
from rocm_images.lock.file import (
    Lock,
    locked_base,
    locked_commit,
    locked_contexts,
    path_of,
    read,
    text_of,
    write,
)
from rocm_images.lock.upstream import Resolution, Unresolved, Upstream, resolve
from rocm_images.matrix.schema import Matrix, Source
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
from rocm_images.references import short

OLDER, NEWER = "rocm/pytorch:rocm7.2", "rocm/pytorch:rocm7.2.2"
SGLANG = "https://example.org/sglang.git#v0.5.21"
AITER_COMMIT = "c16d44b93a528b2a4bfd6d8d3409116d465872a9"
AITER = f"https://example.org/aiter.git#{AITER_COMMIT}"
HADAMARD = "https://a.org/f#46efb7d776d38638fc39f3c803eaee3dd7016bd1"
DIGEST, OTHER_DIGEST = (f"sha256:{digit * 64}" for digit in "ab")
COMMIT, OTHER_COMMIT = ("c" * 40, "d" * 64)


def sources_of(matrix: Matrix) -> Mapping[str, Source]:
    return cells_of(matrix)[0].sources


def lock_of(bases: dict[str, str] | None = None, sources: dict[str, str] | None = None) -> Lock:
    return Lock(schema_number="1", bases=bases or {}, sources=sources or {})


FULL = lock_of({OLDER: DIGEST, NEWER: OTHER_DIGEST}, {SGLANG: COMMIT, AITER: AITER_COMMIT})


def test_a_lock_that_was_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "matrix.lock"
    write(path, FULL, "matrix.yaml")
    assert read(path) == FULL
    assert [entry.name for entry in tmp_path.iterdir()] == ["matrix.lock"]


def test_every_entry_is_one_line_in_sorted_order() -> None:
    text = text_of(FULL, "site.yaml")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines == [
        "schema: 1",
        "bases:",
        f"  {OLDER}: {DIGEST}",
        f"  {NEWER}: {OTHER_DIGEST}",
        "sources:",
        f"  {AITER}: {AITER_COMMIT}",
        f"  {SGLANG}: {COMMIT}",
    ]
    assert "site.yaml" in text


def test_the_order_of_resolving_does_not_show_in_the_file() -> None:
    backwards = lock_of({NEWER: OTHER_DIGEST, OLDER: DIGEST}, dict(reversed(FULL.sources.items())))
    assert text_of(backwards, "m") == text_of(FULL, "m")


# What YAML would take for a number, a list or a key too long for one line.
@pytest.mark.parametrize(
    ("image", "commit"),
    [
        ("[::1]:5000/a:1", "1" * 40),
        ("127.0.0.1:5000/a:1", "0" * 40),
        (f"example.org/{'a' * 200}:{'b' * 128}", "12e" + "4" * 37),
        (f"{OLDER}@{DIGEST}", "1e" + "1" * 38),
    ],
)
def test_names_that_yaml_would_misread_are_quoted(tmp_path: Path, image: str, commit: str) -> None:
    lock = lock_of({image: DIGEST}, {f"https://example.org/a.git#{'r' * 128}": commit})
    path = tmp_path / "matrix.lock"
    write(path, lock, "matrix.yaml")
    assert read(path) == lock
    assert len(path.read_text().splitlines()) == 7
    # Another reader, which gives plain scalars their YAML types, sees the same texts.
    assert yaml.safe_load(path.read_text())["sources"] == lock.sources


def test_without_a_file_the_lock_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path / "matrix.lock") == lock_of()
    write(tmp_path / "matrix.lock", lock_of(), "matrix.yaml")
    assert read(tmp_path / "matrix.lock") == lock_of()


# (what is replaced, by what, line, column, part of the sentence)
MISTAKES = {
    "another schema": ("schema: 1", "schema: 2", 3, 9, "reads schema 1, not '2'"),
    "a digest that is too short": (DIGEST, DIGEST[:-1], 5, 25, "is not a digest"),
    "a digest of another kind": (DIGEST, f"sha512:{'a' * 64}", 5, 25, "is not a digest"),
    "a short commit": (COMMIT, COMMIT[:7], 9, 43, "is not a full commit"),
    "a base without a tag": (f"{OLDER}:", "rocm/pytorch:", 5, 3, "neither tag nor digest"),
    "a source without a ref": (f"{SGLANG}:", "https://example.org/a:", 9, 3, "address and ref"),
    "an unknown key": ("bases:", "basis:", 4, 1, "did you mean 'bases'"),
    "an entry that stands twice": (f"{OLDER}:", f"{NEWER}:", 6, 3, "stands here twice"),
    "a merge conflict": ("bases:", "<<<<<<< ours\nbases:", 5, 1, "not valid YAML"),
    "an entry without a value": (f" {COMMIT}", "", 9, 42, "must be a text"),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_reported_where_it_stands_with_what_to_do(
    tmp_path: Path, mistake: tuple[str, str, int, int, str]
) -> None:
    old, new, line, column, sentence = mistake
    path = tmp_path / "matrix.lock"
    text = text_of(FULL, "matrix.yaml")
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(LockError) as caught:
        read(path)
    found = {(p.line, p.column): p.sentence for p in caught.value.problems}
    assert (line, column) in found, str(caught.value)
    assert sentence in found[line, column]
    assert f"{path}:{line}:{column}: " in str(caught.value)
    assert "restore the committed one" in str(caught.value)
    assert caught.value.exit_code == ExitCode.BAD_INPUT


def test_a_lock_that_cannot_be_read_or_written_is_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "matrix.lock"
    folder.mkdir()
    with pytest.raises(InputError, match="cannot read it"):
        read(folder)
    with pytest.raises(InputError, match="cannot write it"):
        write(folder, FULL, "matrix.yaml")
    assert list(tmp_path.iterdir()) == [folder]


def test_the_lock_lies_beside_its_matrix() -> None:
    assert path_of(Path("a/matrix.yaml")) == Path("a/matrix.lock")
    assert path_of(Path("a/site.matrix.yml")) == Path("a/site.matrix.lock")
    with pytest.raises(InputError, match="its own lock"):
        path_of(Path("a/matrix.lock"))


def test_a_matrix_wants_its_base_images_and_its_git_sources(small_matrix: Matrix) -> None:
    assert wanted_of(small_matrix) == (
        Wanted(OLDER, ("7.2.0", OLDER), git=False),
        Wanted(NEWER, ("7.2.2", NEWER), git=False),
        Wanted(SGLANG, ("sglang", SGLANG), git=True),
        Wanted(AITER, ("aiter", AITER), git=True),
        Wanted(HADAMARD, ("fast-hadamard-transform", HADAMARD), git=True),
    )


def test_two_bases_on_one_image_are_one_entry(matrix_file: Callable[..., Path]) -> None:
    matrix = load(matrix_file(("rocm7.2.2", "rocm7.2")))
    assert wanted_of(matrix)[0] == Wanted(OLDER, ("7.2.0", "7.2.2", OLDER), git=False)


@pytest.mark.parametrize(
    ("name", "key"), [("7.2.2", NEWER), (NEWER, NEWER), ("sglang", SGLANG), (AITER, AITER)]
)
def test_an_entry_is_chosen_by_version_image_or_source(
    small_matrix: Matrix, name: str, key: str
) -> None:
    assert [one.key for one in chosen(wanted_of(small_matrix), [name])] == [key]


def test_an_unknown_name_is_answered_with_the_closest_one(small_matrix: Matrix) -> None:
    with pytest.raises(InputError, match="did you mean 'aiter'"):
        chosen(wanted_of(small_matrix), ["sglang", "aitre"])


def test_what_was_found_replaces_its_entries_and_only_a_full_run_drops_others() -> None:
    wanted = Wanted(NEWER, (), git=False)
    one = renewed(FULL, {wanted: DIGEST})
    assert one.entries == {**FULL.entries, NEWER: DIGEST}
    all_of_it = renewed(FULL, {wanted: DIGEST}, [wanted])
    assert all_of_it.entries == {NEWER: DIGEST}
    not_found = renewed(FULL, {}, [wanted])
    assert not_found.entries == {NEWER: OTHER_DIGEST}


def test_a_change_names_both_digests() -> None:
    assert changes(FULL, FULL) == ()
    after = lock_of({OLDER: DIGEST, NEWER: DIGEST}, {AITER: AITER_COMMIT, "https://x#y": COMMIT})
    assert [change.told(None) for change in changes(FULL, after)] == [
        f"{SGLANG}: dropped, since the matrix no longer names it; was {COMMIT}",
        f"https://x#y: no entry before, now {COMMIT}",
        f"{NEWER}: moved from {OTHER_DIGEST} to {DIGEST}",
    ]


def test_on_a_terminal_a_change_stands_below_its_name_and_is_short() -> None:
    moved = Change(NEWER, OTHER_DIGEST, DIGEST)
    words = f"moved from {short(OTHER_DIGEST)} to {short(DIGEST)}"
    assert moved.told(80) == f"{NEWER}:\n  {words}"
    source = Change(f"https://example.org/s.git#{COMMIT}", None, COMMIT)
    told = f"https://example.org/s.git#{COMMIT[:12]}:\n  no entry before, now {COMMIT[:12]}"
    assert source.told(80) == told


def test_what_differs_behind_the_twelfth_digit_is_shown_whole() -> None:
    tampered = f"{DIGEST[:-1]}{'0' if DIGEST[-1] != '0' else '1'}"
    told = " ".join(Change(NEWER, tampered, DIGEST).told(80).split())
    assert told == f"{NEWER}: moved from {tampered} to {DIGEST}"


def test_a_base_with_an_entry_is_taken_by_its_digest() -> None:
    assert locked_base(FULL, OLDER) == f"{OLDER}@{DIGEST}"
    assert locked_base(lock_of(), OLDER) is None
    pinned = f"{OLDER}@{OTHER_DIGEST}"
    assert locked_base(FULL, pinned) == locked_base(lock_of(), pinned) == pinned


def test_a_source_with_an_entry_is_taken_by_its_commit(
    matrix_file: Callable[..., Path], small_matrix: Matrix
) -> None:
    assert locked_commit(FULL, sources_of(small_matrix)["sglang"]) == COMMIT
    assert locked_commit(lock_of(), sources_of(small_matrix)["sglang"]) is None
    assert locked_commit(lock_of(), sources_of(small_matrix)["aiter"]) == AITER_COMMIT


@pytest.mark.parametrize(
    ("old", "new"),
    [("ref: v0.5.21", "ref: v0.5.22"), ("example.org/sglang.git", "example.org/fork.git")],
)
def test_an_entry_is_no_answer_for_another_ref_or_address(
    matrix_file: Callable[..., Path], old: str, new: str
) -> None:
    matrix = load(matrix_file((old, new)))
    assert locked_commit(FULL, sources_of(matrix)["sglang"]) is None


def test_an_edited_entry_cannot_replace_the_commit_that_the_matrix_names(
    small_matrix: Matrix,
) -> None:
    edited = lock_of(sources={AITER: COMMIT})
    assert locked_commit(edited, sources_of(small_matrix)["aiter"]) == AITER_COMMIT


def test_a_lock_replaces_base_and_sources_by_name_where_they_could_move(
    small_matrix: Matrix,
) -> None:
    assert locked_contexts(FULL, OLDER, sources_of(small_matrix)) == {
        OLDER: f"docker-image://{OLDER}@{DIGEST}",
        "sglang-src": f"https://example.org/sglang.git#{COMMIT}",
    }
    assert locked_contexts(lock_of(), OLDER, sources_of(small_matrix)) == {}
    assert locked_contexts(lock_of(), f"{OLDER}@{DIGEST}", sources_of(small_matrix)) == {}


def test_what_has_no_entry_and_no_commit_of_its_own_is_unlocked(small_matrix: Matrix) -> None:
    wanted = wanted_of(small_matrix)
    assert [one.key for one in unlocked(lock_of(), wanted)] == [OLDER, NEWER, SGLANG]
    assert unlocked(FULL, wanted) == ()


class Told(Upstream):
    """Upstream that answers from a dictionary: the threads and the sorting are what is tested."""

    def answer(self, one: Wanted) -> str:
        if one.names[0] == "defect":
            raise RuntimeError("a defect")
        if one.names[0] == "absent":
            raise Unresolved("is not there")
        return one.names[0]


def test_answers_and_reasons_come_in_the_order_of_the_questions() -> None:
    asked = [Wanted(str(n), ("absent" if n % 3 else str(n),), git=False) for n in range(50)]
    resolution = resolve(asked, Told(None))
    assert resolution == Resolution(
        {one: one.key for one in asked[::3]},
        {one: "is not there" for one in asked if one.names == ("absent",)},
    )
    assert list(resolution.found) == asked[::3]


def test_a_defect_is_not_taken_for_an_unresolved_name() -> None:
    with pytest.raises(RuntimeError, match="a defect"):
        resolve([Wanted("x", ("defect",), git=True)], Told(None))
