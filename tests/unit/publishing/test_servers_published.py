"""All repositories, of servers and registries, are checked first; each is published whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest
from click.testing import CliRunner, Result
from two_servers import SECOND, with_second_server

from made_up_catalogue import catalogue, of_server
from rocm_images.build.site import RealSite
from rocm_images.build.targets import Target
from rocm_images.catalogue import file
from rocm_images.catalogue.merge import merged
from rocm_images.catalogue.schema import Catalogue
from rocm_images.catalogue.signed import SIGNATURE, Signed, write_verified
from rocm_images.cli.group import Verbs
from rocm_images.cli.main import main
from rocm_images.cli.options import registry_option
from rocm_images.errors import InputError, PublishRefused, RegistryError, RegistryUnanswered
from rocm_images.matrix.schema import Matrix
from rocm_images.publishing import run
from rocm_images.publishing.candidates import Candidate
from rocm_images.publishing.catalogued import Keeper
from rocm_images.publishing.findings import Finding, Judged
from rocm_images.publishing.scanning import Scanned
from rocm_images.publishing.transaction import Publication, Transaction
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.place import Who
from rocm_images.registry.trust import Signer, Trust

FIRST, OTHER = "r.example.org", "other.example.org/team"
WORDS = ("--registry", FIRST, "--sign-key", "cosign.key", "--channel", "preview")
UPDATED = "2026-03-04T05:06:07+00:00"


class Cosign:
    """Signs files by saying that it did."""

    def sign_file(self, path: Path, _: Signer) -> str:
        return f"signed {path.name}"


class Place:
    """A place of which only the name of the repository and its registry matter."""

    cosign = Cosign()

    def __init__(self, name: str, address: RegistryAddress) -> None:
        self.repository = self
        self.name = name
        self.address = address
        self.ca_bundle = None

    def __str__(self) -> str:
        return self.address.named(self.name)


class Site:
    """What was done to which repository, in order, and what the second one's check says."""

    def __init__(self, lists: dict[str, Catalogue]) -> None:
        self.lists = lists
        self.done: list[tuple[str, str]] = []
        self.asked: dict[str, Sequence[str]] = {}
        self.refuses: str | None = None
        self.fails: tuple[str, str] | None = None
        """What, and of which repository."""

    def check(self, transaction: Transaction, given: Sequence[Target]) -> list[Candidate]:
        name = self.called(transaction.rules.repository)
        self.done.append(("check", name))
        assert {one.cell.repository for one in given} == {transaction.rules.repository.name}
        if name == self.refuses:
            raise PublishRefused("no evidence")
        return []

    def called(self, repository: Repository) -> str:
        """Its name, in another registry than the first one with that."""
        return repository.name if repository.address.host == FIRST else str(repository)

    def keeper_check(self, keeper: Keeper, _: object, known: Sequence[str]) -> None:
        self.asked[keeper.repository.name] = known

    def do(self, what: str, name: str) -> None:
        if self.fails == (what, name):
            raise RegistryError("the registry is gone")
        self.done.append((what, name))

    def run(self, transaction: Transaction, _: object, *, move_tags: bool) -> Publication:
        self.do("publish" if move_tags else "push", self.called(transaction.rules.repository))
        return Publication((), (), ())

    def record(self, keeper: Keeper, _: object) -> Signed:
        self.do("record", self.called(keeper.repository))
        return Signed(file.text_of(self.lists[keeper.repository.name]).encode(), b"its own")


@pytest.fixture
def lists(project_matrix: Matrix) -> dict[str, Catalogue]:
    """The catalogues of two repositories."""
    first = catalogue(project_matrix)
    images = [of_server(image, SECOND, "1.0") for image in first.images]
    history = tuple(of_server(image, SECOND, "1.0") for image in first.history)
    second = merged(None, images, UPDATED).model_copy(update={"history": history})
    return {"sglang-rocm": first, f"{SECOND}-rocm": second}


@pytest.fixture
def site(
    project_matrix: Matrix, lists: dict[str, Catalogue], monkeypatch: pytest.MonkeyPatch
) -> Site:
    found = Site(lists)

    def targets_of(_: Any, __: Any, ___: Any, chosen: Any, **____: Any) -> list[Target]:
        return [Target(cell, (), immutable="x") for cell in chosen]

    monkeypatch.setattr(run, "load", lambda _: with_second_server(project_matrix))
    monkeypatch.setattr(RealSite, "found_engine", lambda _: None)
    monkeypatch.setattr(run, "targets_of", targets_of)
    monkeypatch.delenv("ROCM_IMAGES_REGISTRY", raising=False)
    monkeypatch.setattr(run, "place_of", lambda name, address, *_: Place(name, address))
    monkeypatch.setattr(Who, "must_sign", lambda _: Signer("cosign.key"))
    monkeypatch.setattr(Who, "check", lambda _: None)
    monkeypatch.setattr(Who, "trust", lambda *_: Trust(key="cosign.pub"))
    monkeypatch.setattr(Transaction, "check", lambda self, given: found.check(self, given))
    monkeypatch.setattr(Transaction, "plan", lambda *_: [])
    monkeypatch.setattr(
        Transaction, "run", lambda self, given, **more: found.run(self, given, **more)
    )
    monkeypatch.setattr(
        Keeper, "check", lambda self, given, known: found.keeper_check(self, given, known)
    )
    monkeypatch.setattr(Keeper, "record", lambda self, entries: found.record(self, entries))
    monkeypatch.setattr(run, "asked_of_others", lambda *_: run)
    monkeypatch.setattr(run, "entries_of", lambda *_: [])
    return found


def invoke(verb: str, *words: str) -> Result:
    return CliRunner().invoke(main, [verb, *WORDS, *words])


def test_all_are_checked_before_the_first_is_published(site: Site, tmp_path: Path) -> None:
    done = invoke("publish", "--server", "all", "--output", str(tmp_path))
    assert done.exit_code == 0, done.exception
    first, second = "sglang-rocm", f"{SECOND}-rocm"
    assert site.done == [
        *(("check", first), ("check", second)),
        *(("publish", first), ("record", first)),
        *(("publish", second), ("record", second)),
    ]


def test_each_is_asked_for_its_own_rolling_tags_alone(
    site: Site, project_matrix: Matrix, tmp_path: Path
) -> None:
    assert invoke("publish", "--server", "all", "--output", str(tmp_path)).exit_code == 0
    _, cells = with_second_server(project_matrix)
    suffix = project_matrix.channels["preview"].suffix
    for name in site.asked:
        own = [tag + suffix for cell in cells if cell.repository == name for tag in cell.tags]
        assert site.asked[name] == own


def test_what_is_refused_of_one_stops_the_others_before_anything_is_sent(
    site: Site, tmp_path: Path
) -> None:
    site.refuses = f"{SECOND}-rocm"
    done = invoke("publish", "--server", "all", "--output", str(tmp_path))
    assert isinstance(done.exception, PublishRefused)
    assert site.done == [("check", "sglang-rocm"), ("check", f"{SECOND}-rocm")]


def test_one_server_is_a_publication_of_that_one_alone(
    site: Site, lists: dict[str, Catalogue], tmp_path: Path
) -> None:
    for words, name in (((), "sglang-rocm"), (("--server", SECOND), f"{SECOND}-rocm")):
        site.done.clear()
        assert invoke("publish", *words, "--output", str(tmp_path)).exit_code == 0
        assert site.done == [("check", name), ("publish", name), ("record", name)]
        assert file.read(tmp_path / "catalogue.json") == lists[name]
        assert (tmp_path / SIGNATURE).read_text() == "its own"


def test_the_list_that_is_left_is_of_all_and_signed(
    site: Site, lists: dict[str, Catalogue], tmp_path: Path
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


@pytest.mark.parametrize("what", ["publish", "record"])
def test_what_was_published_before_another_failed_is_said_and_listed_here(
    site: Site, lists: dict[str, Catalogue], tmp_path: Path, what: str
) -> None:
    site.fails = (what, f"{SECOND}-rocm")
    done = invoke("publish", "--server", "all", "--output", str(tmp_path))
    assert isinstance(done.exception, RegistryError)
    assert str(done.exception) == (
        "the registry is gone; published and left so: sglang-rocm; not published to the end: "
        f"{SECOND}-rocm"
    )
    assert file.read(tmp_path / "catalogue.json") == lists["sglang-rocm"]
    assert (tmp_path / SIGNATURE).read_text() == "its own"


def test_where_the_first_fails_nothing_is_said_of_others(site: Site, tmp_path: Path) -> None:
    site.fails = ("publish", "sglang-rocm")
    done = invoke("publish", "--server", "all", "--output", str(tmp_path))
    assert str(done.exception) == "the registry is gone"
    assert not list(tmp_path.iterdir())


def test_a_list_that_cannot_be_written_hides_nothing(site: Site, tmp_path: Path) -> None:
    site.fails = ("publish", f"{SECOND}-rocm")
    (tmp_path / "catalogue.json" / "in the way").mkdir(parents=True)
    done = invoke("publish", "--server", "all", "--output", str(tmp_path))
    assert isinstance(done.exception, RegistryError)
    assert "published and left so: sglang-rocm" in str(done.exception)
    assert "note: the list of what was published is not written" in done.stderr


def test_pushes_say_that_they_are(site: Site) -> None:
    site.fails = ("push", f"{SECOND}-rocm")
    done = invoke("push", "--server", "all")
    assert f"; pushed and left so: sglang-rocm; not pushed to the end: {SECOND}-rocm" in str(
        done.exception
    )


def test_a_list_of_all_that_is_not_signed_is_said_to_be_all_that_is_missing(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    assert ("record", f"{SECOND}-rocm") in site.done
    assert not list(tmp_path.iterdir())
    assert invoke(*words).exit_code == 0
    assert (tmp_path / SIGNATURE).exists()


def test_push_leaves_every_list_as_it_is(site: Site) -> None:
    assert invoke("push", "--server", "all").exit_code == 0
    first, second = "sglang-rocm", f"{SECOND}-rocm"
    assert site.done == [("check", first), ("check", second), ("push", first), ("push", second)]


def test_every_registry_is_checked_before_the_first_is_published_to(
    site: Site, lists: dict[str, Catalogue], tmp_path: Path
) -> None:
    words = ("publish", "--server", "all", "--output", str(tmp_path), "--registry", OTHER)
    # One that is named twice is one.
    done = invoke(*words, "--registry", FIRST)
    assert done.exit_code == 0, done.exception
    first, second = "sglang-rocm", f"{SECOND}-rocm"
    each = (first, second, f"{OTHER}/{first}", f"{OTHER}/{second}")
    assert site.done == [
        *(("check", name) for name in each),
        *((what, name) for name in each for what in ("publish", "record")),
    ]
    # What is said of which.
    assert [line for line in done.stdout.splitlines() if line.endswith("-rocm")] == [
        *(f"{FIRST}/{first}", f"{FIRST}/{second}", f"{OTHER}/{first}", f"{OTHER}/{second}")
    ]
    # The list that is left is of the first one's images: the others have the same.
    found = file.read(tmp_path / "catalogue.json")
    assert len(found.images) == sum(len(one.images) for one in lists.values())


def test_a_dry_run_says_of_each_registry_what_would_happen_and_writes_nothing(site: Site) -> None:
    done = invoke("publish", "--server", "all", "--dry-run", "--registry", OTHER)
    assert done.exit_code == 0, done.exception
    assert {what for what, _ in site.done} == {"check"}
    assert len(site.done) == 4
    for name in ("sglang-rocm", f"{SECOND}-rocm"):
        for registry in (FIRST, OTHER):
            assert f"\n{registry}/{name}\n" in done.stdout


def test_a_dry_run_refuses_what_the_scanner_refuses_and_a_push_does_not_ask_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> NoReturn:
        raise PublishRefused("known vulnerabilities: nothing was signed and no tag moved")

    monkeypatch.setattr(Transaction, "scan", refuses)
    done = invoke("publish", "--dry-run")
    assert isinstance(done.exception, PublishRefused)
    # What would be pushed is said all the same.
    assert "IMMUTABLE TAG" in done.stdout
    assert site.done == [("check", "sglang-rocm")]
    assert invoke("push", "--dry-run").exit_code == 0


def test_a_dry_run_shows_what_the_scanner_found(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = Judged((), (), (Finding("CVE-2099-0001", "low", ()),), (), frozenset())
    found = Scanned("sglang-942-rocm7.2.2", f"sha256:{'d' * 64}", "", judged)
    monkeypatch.setattr(Transaction, "scan", lambda *_: (found,))
    assert "sglang-942-rocm7.2.2  sha256:dddddddddddd  low" in invoke("publish", "--dry-run").stdout


def test_machines_get_one_object_of_every_repository_and_nothing_else(
    site: Site, tmp_path: Path
) -> None:
    words = ("--server", "all", "--json", "--output", str(tmp_path), "--registry", OTHER)
    for more, dry_run in (((), False), (("--dry-run",), True)):
        done = invoke("publish", *words, *more)
        assert done.exit_code == 0, done.exception
        told = json.loads(done.stdout)
        assert (told["schema"], told["channel"], told["dry_run"]) == (1, "preview", dry_run)
        assert [(one["registry"], one["repository"]) for one in told["repositories"]] == [
            (registry, f"{registry}/{name}")
            for registry in (FIRST, OTHER)
            for name in ("sglang-rocm", f"{SECOND}-rocm")
        ]
    assert (tmp_path / "catalogue.json").exists()


def test_machines_are_told_what_is_published_where_another_one_fails(
    site: Site, tmp_path: Path
) -> None:
    words = ("publish", "--server", "all", "--json", "--output", str(tmp_path))
    site.fails = ("record", f"{SECOND}-rocm")
    done = invoke(*words)
    assert isinstance(done.exception, RegistryError)
    (only,) = json.loads(done.stdout)["repositories"]
    assert only["repository"] == f"{FIRST}/sglang-rocm"
    site.fails = ("publish", "sglang-rocm")
    assert invoke(*words).stdout == ""


def test_a_bundle_has_no_object_for_machines(tmp_path: Path) -> None:
    words = ("--from", str(tmp_path / "a.tar"), "--registry", FIRST, "--json")
    done = CliRunner().invoke(main, ["publish", *words])
    assert isinstance(done.exception, InputError)
    assert "--json means nothing to a bundle" in str(done.exception)


def test_one_registry_that_refuses_leaves_all_as_they_are(site: Site, tmp_path: Path) -> None:
    site.refuses = f"{OTHER}/sglang-rocm"
    done = invoke("publish", "--output", str(tmp_path), "--registry", OTHER)
    assert isinstance(done.exception, PublishRefused)
    assert {what for what, _ in site.done} == {"check"}


def test_a_registry_that_fails_says_which_have_it_and_what_to_do(
    site: Site, lists: dict[str, Catalogue], tmp_path: Path
) -> None:
    site.fails = ("publish", f"{OTHER}/sglang-rocm")
    done = invoke("publish", "--output", str(tmp_path), "--registry", OTHER)
    assert isinstance(done.exception, RegistryError)
    assert str(done.exception).endswith(
        f"; published and left so: {FIRST}/sglang-rocm; not published to the end: "
        f"{OTHER}/sglang-rocm"
    )
    assert file.read(tmp_path / "catalogue.json") == lists["sglang-rocm"]


def test_of_one_that_does_not_answer_it_is_said_once_to_run_again(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(what: str, name: str) -> None:
        if (what, name) == ("publish", f"{OTHER}/sglang-rocm"):
            raise RegistryUnanswered("cannot read the tag x (no answer)")

    monkeypatch.setattr(site, "do", silent)
    done = invoke("publish", "--output", str(tmp_path), "--registry", OTHER)
    assert str(done.exception) == (
        f"cannot read the tag x (no answer); published and left so: {FIRST}/sglang-rocm; not "
        f"published to the end: {OTHER}/sglang-rocm: look at --registry (or "
        "ROCM_IMAGES_REGISTRY), or run again when it answers"
    )


def test_the_variable_names_several_for_publish_and_the_first_for_others(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROCM_IMAGES_REGISTRY", f"{FIRST} {OTHER}")
    words = ("--sign-key", "cosign.key", "--channel", "preview", "--output", str(tmp_path))
    done = CliRunner().invoke(main, ["publish", *words])
    assert done.exit_code == 0, done.exception
    assert [name for what, name in site.done if what == "publish"] == [
        *("sglang-rocm", f"{OTHER}/sglang-rocm")
    ]
    asked: list[str] = []

    @click.command()
    @registry_option
    def one(registry: RegistryAddress) -> None:
        asked.append(str(registry))

    # Which gives an option its variable.
    Verbs().add_command(one)
    assert CliRunner().invoke(one).exit_code == 0
    assert asked == [FIRST]
    # What was typed is one address.
    typed = CliRunner().invoke(one, ["--registry", f"{FIRST} {OTHER}"])
    assert isinstance(typed.exception, InputError)


def test_a_bundle_goes_to_one_registry_after_the_other(tmp_path: Path) -> None:
    words = ("--from", str(tmp_path / "a.tar"), "--registry", FIRST, "--registry", OTHER)
    done = CliRunner().invoke(main, ["publish", *words])
    assert isinstance(done.exception, InputError)
    assert "--from takes one --registry" in str(done.exception)


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
