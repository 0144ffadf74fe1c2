"""The list that a publication leaves in its folder is of all that was published, and signed."""

from __future__ import annotations

from pathlib import Path

import pytest
from two_servers import SECOND

from made_up_repositories import UPDATED, Cosign, Repositories, invoke
from rocm_images.catalogue import file
from rocm_images.catalogue.schema import Catalogue
from rocm_images.catalogue.signed import SIGNATURE, Signed, write_verified
from rocm_images.errors import InputError, RegistryError


def test_the_list_that_is_left_is_of_all_and_signed(
    repositories: Repositories, lists: dict[str, Catalogue], tmp_path: Path
) -> None:
    assert invoke("publish", "--server", "all", "--output", str(tmp_path)).exit_code == 0
    found = file.read(tmp_path / "catalogue.json")
    both = list(lists.values())
    assert {one.digest for one in found.images} == {
        one.digest for part in both for one in part.images
    }
    assert len(found.history) == sum(len(part.history) for part in both) > 0
    assert found.updated == UPDATED
    assert (tmp_path / SIGNATURE).read_text() == "signed catalogue.json"
    page = (tmp_path / "catalogue.html").read_text()
    assert all(f"{one.repository}:{one.tags[0]}" in page for one in found.images if one.tags)


def test_a_list_that_cannot_be_written_hides_nothing(
    repositories: Repositories, tmp_path: Path
) -> None:
    repositories.fails = ("publish", f"{SECOND}-rocm")
    (tmp_path / "catalogue.json" / "in the way").mkdir(parents=True)
    done = invoke("publish", "--server", "all", "--output", str(tmp_path))
    assert isinstance(done.exception, RegistryError)
    assert "published and left so: sglang-rocm" in str(done.exception)
    assert "note: the list of what was published is not written" in done.stderr


def test_a_list_of_all_that_is_not_signed_is_said_to_be_all_that_is_missing(
    repositories: Repositories, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object) -> str:
        raise InputError("the key is gone")

    words = ("publish", "--server", "all", "--output", str(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(Cosign, "sign_file", cannot)
        done = invoke(*words)
    assert isinstance(done.exception, InputError)
    sentence = str(done.exception)
    assert sentence.startswith("everything is published"), sentence
    assert "the key is gone; then publish again" in sentence
    assert ("record", f"{SECOND}-rocm") in repositories.done
    assert not list(tmp_path.iterdir())
    assert invoke(*words).exit_code == 0
    assert (tmp_path / SIGNATURE).exists()


def test_push_leaves_every_list_as_it_is(repositories: Repositories) -> None:
    assert invoke("push", "--server", "all").exit_code == 0
    first, second = "sglang-rocm", f"{SECOND}-rocm"
    assert repositories.done == [
        ("check", first),
        ("check", second),
        ("push", first),
        ("push", second),
    ]


def test_lists_that_were_fetched_are_one_page_without_a_signature(
    lists: dict[str, Catalogue], tmp_path: Path
) -> None:
    (tmp_path / SIGNATURE).write_text("of another list")
    fetched = [(Signed(file.text_of(one).encode(), b"its own"), one) for one in lists.values()]
    write_verified(tmp_path, fetched)
    assert {one.server for one in file.read(tmp_path / "catalogue.json").images} == {
        "sglang",
        SECOND,
    }
    assert not (tmp_path / SIGNATURE).exists()
    write_verified(tmp_path, fetched[:1])
    assert (tmp_path / SIGNATURE).read_text() == "its own"
