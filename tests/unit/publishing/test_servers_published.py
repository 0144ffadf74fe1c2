"""The repositories of all servers are checked first; each is published whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from two_servers import SECOND, with_second_server

from made_up_repositories import Repositories, invoke
from rocm_images.catalogue import file
from rocm_images.catalogue.schema import Catalogue
from rocm_images.catalogue.signed import SIGNATURE
from rocm_images.errors import PublishRefused, RegistryError
from rocm_images.matrix.schema import Matrix


def test_all_are_checked_before_the_first_is_published(
    repositories: Repositories, tmp_path: Path
) -> None:
    done = invoke("publish", "--server", "all", "--output", str(tmp_path))
    assert done.exit_code == 0, done.exception
    first, second = "sglang-rocm", f"{SECOND}-rocm"
    assert repositories.done == [
        *(("check", first), ("check", second)),
        *(("publish", first), ("record", first)),
        *(("publish", second), ("record", second)),
    ]


def test_each_is_asked_for_its_own_rolling_tags_alone(
    repositories: Repositories, project_matrix: Matrix, tmp_path: Path
) -> None:
    assert invoke("publish", "--server", "all", "--output", str(tmp_path)).exit_code == 0
    _, cells = with_second_server(project_matrix)
    suffix = project_matrix.channels["preview"].suffix
    for name in repositories.asked:
        own = [tag + suffix for cell in cells if cell.repository == name for tag in cell.tags]
        assert repositories.asked[name] == own


def test_what_is_refused_of_one_stops_the_others_before_anything_is_sent(
    repositories: Repositories, tmp_path: Path
) -> None:
    repositories.refuses = f"{SECOND}-rocm"
    done = invoke("publish", "--server", "all", "--output", str(tmp_path))
    assert isinstance(done.exception, PublishRefused)
    assert repositories.done == [("check", "sglang-rocm"), ("check", f"{SECOND}-rocm")]


def test_one_server_is_a_publication_of_that_one_alone(
    repositories: Repositories, lists: dict[str, Catalogue], tmp_path: Path
) -> None:
    for words, name in (((), "sglang-rocm"), (("--server", SECOND), f"{SECOND}-rocm")):
        repositories.done.clear()
        assert invoke("publish", *words, "--output", str(tmp_path)).exit_code == 0
        assert repositories.done == [("check", name), ("publish", name), ("record", name)]
        assert file.read(tmp_path / "catalogue.json") == lists[name]
        assert (tmp_path / SIGNATURE).read_text() == "its own"


@pytest.mark.parametrize("what", ["publish", "record"])
def test_what_was_published_before_another_failed_is_said_and_listed_here(
    repositories: Repositories, lists: dict[str, Catalogue], tmp_path: Path, what: str
) -> None:
    repositories.fails = (what, f"{SECOND}-rocm")
    done = invoke("publish", "--server", "all", "--output", str(tmp_path))
    assert isinstance(done.exception, RegistryError)
    assert str(done.exception) == (
        "the registry is gone; published and left so: sglang-rocm; not published to the end: "
        f"{SECOND}-rocm"
    )
    assert file.read(tmp_path / "catalogue.json") == lists["sglang-rocm"]
    assert (tmp_path / SIGNATURE).read_text() == "its own"


def test_where_the_first_fails_nothing_is_said_of_others(
    repositories: Repositories, tmp_path: Path
) -> None:
    repositories.fails = ("publish", "sglang-rocm")
    done = invoke("publish", "--server", "all", "--output", str(tmp_path))
    assert str(done.exception) == "the registry is gone"
    assert not list(tmp_path.iterdir())


def test_pushes_say_that_they_are(repositories: Repositories) -> None:
    repositories.fails = ("push", f"{SECOND}-rocm")
    done = invoke("push", "--server", "all")
    assert f"; pushed and left so: sglang-rocm; not pushed to the end: {SECOND}-rocm" in str(
        done.exception
    )
