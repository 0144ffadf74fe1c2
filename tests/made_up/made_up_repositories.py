"""Repositories of two servers in two registries, of which a test sees what was done to which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from two_servers import SECOND, with_second_server

from made_up_catalogue import catalogue, of_server
from rocm_images.build.site import RealSite
from rocm_images.build.targets import Target
from rocm_images.catalogue import file
from rocm_images.catalogue.merge import merged
from rocm_images.catalogue.schema import Catalogue
from rocm_images.catalogue.signed import Signed
from rocm_images.cli.main import main
from rocm_images.errors import PublishRefused, RegistryError
from rocm_images.matrix.schema import Matrix
from rocm_images.publishing import run
from rocm_images.publishing.candidates import Candidate
from rocm_images.publishing.catalogued import Keeper
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


class Repositories:
    """What was done to which repository, in order, and what the second one's check says."""

    def __init__(self, lists: dict[str, Catalogue]) -> None:
        self.lists = lists
        self.done: list[tuple[str, str]] = []
        self.asked: dict[str, Sequence[str]] = {}
        self.refuses: str | None = None
        self.fails: tuple[str, str] | None = None
        """What, and of which repository."""

    def take_the_place_of_real_ones(self, matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
        def targets_of(_: Any, __: Any, ___: Any, chosen: Any, **____: Any) -> list[Target]:
            return [Target(cell, (), immutable="x") for cell in chosen]

        monkeypatch.setattr(run, "load", lambda _: with_second_server(matrix))
        monkeypatch.setattr(RealSite, "found_engine", lambda _: None)
        monkeypatch.setattr(run, "targets_of", targets_of)
        monkeypatch.delenv("ROCM_IMAGES_REGISTRY", raising=False)
        monkeypatch.setattr(run, "place_of", lambda name, address, *_: Place(name, address))
        monkeypatch.setattr(Who, "must_sign", lambda _: Signer("cosign.key"))
        monkeypatch.setattr(Who, "check", lambda _: None)
        monkeypatch.setattr(Who, "trust", lambda *_: Trust(key="cosign.pub"))
        monkeypatch.setattr(Transaction, "check", lambda of, given: self.check(of, given))
        monkeypatch.setattr(Transaction, "plan", lambda *_: [])
        monkeypatch.setattr(
            Transaction, "run", lambda of, given, **more: self.run(of, given, **more)
        )
        monkeypatch.setattr(
            Keeper, "check", lambda of, given, known: self.keeper_check(of, given, known)
        )
        monkeypatch.setattr(Keeper, "record", lambda of, entries: self.record(of, entries))
        monkeypatch.setattr(run, "asked_of_others", lambda *_: run)
        monkeypatch.setattr(run, "entries_of", lambda *_: [])

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


def two_lists(matrix: Matrix) -> dict[str, Catalogue]:
    """The catalogues of two repositories."""
    first = catalogue(matrix)
    images = [of_server(image, SECOND, "1.0") for image in first.images]
    history = tuple(of_server(image, SECOND, "1.0") for image in first.history)
    second = merged(None, images, UPDATED).model_copy(update={"history": history})
    return {"sglang-rocm": first, f"{SECOND}-rocm": second}


def invoke(verb: str, *words: str) -> Result:
    return CliRunner().invoke(main, [verb, *WORDS, *words])
