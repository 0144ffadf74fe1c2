"""What others are asked for an entry is asked in time, and no answer of theirs ends a verb."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner
from docker.errors import APIError, NotFound
from requests.exceptions import ReadTimeout

from rocm_images.build.site import RealSite
from rocm_images.build.targets import Target
from rocm_images.cli.main import main
from rocm_images.engine.images import EngineImage
from rocm_images.errors import EngineError, InputError
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.publishing import entries, run
from rocm_images.publishing.catalogued import Keeper
from rocm_images.publishing.entries import unpacked_of
from rocm_images.publishing.transaction import Publication, Transaction
from rocm_images.registry.place import Who
from rocm_images.registry.trust import Signer, Trust


class Broken:
    """An engine, its client and its images, none of which gives what is asked for."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.environment: dict[str, str] = {}

    def client(self) -> Any:
        return self

    @property
    def images(self) -> Any:
        return self

    def get(self, _: str) -> Any:
        raise self.error

    def close(self) -> None: ...


@pytest.mark.parametrize(
    "error",
    [
        InputError("it has none"),
        EngineError("it went away"),
        APIError("500 Server Error"),
        NotFound("content digest sha256:0: not found"),
        ReadTimeout("it says nothing"),
    ],
)
def test_an_engine_that_does_not_answer_leaves_a_size_unknown(
    error: Exception, small_matrix: Matrix, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = cells_of(small_matrix)[0]
    one = replace(Target(cell, (), immutable="x"), found=EngineImage("sha256:1", {}, ()))
    broken: Any = Broken(error)
    assert unpacked_of(broken, one) is None
    assert f"the unpacked size of {cell.name} is not known: {error}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "order"),
    [
        ("publish", ["the engine", "others", "move", "record", "warn"]),
        ("push", ["the engine", "move", "warn"]),
    ],
)
def test_nobody_is_asked_between_the_tags_and_the_catalogue(
    verb: str, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def then(what: str, answer: Any = None) -> Any:
        def answered(*_: Any, **__: Any) -> Any:
            done.append(what)
            return answer

        return answered

    class Place:
        class repository:
            ca_bundle = None
            name = address = ""

        cosign = None

    monkeypatch.setattr(RealSite, "found_engine", lambda _: Broken(OSError()))

    def targets_of(_: Any, __: Any, ___: Any, chosen: Any, **____: Any) -> list[Target]:
        return [Target(cell, (), immutable="x") for cell in chosen]

    monkeypatch.setattr(run, "targets_of", targets_of)
    monkeypatch.setattr(run, "with_found", lambda engine, found: found)
    monkeypatch.setattr(run, "place_of", lambda *_: Place())
    monkeypatch.setattr(Who, "must_sign", lambda _: Signer("cosign.key"))
    monkeypatch.setattr(Who, "check", lambda _: None)
    monkeypatch.setattr(Who, "trust", lambda *_: Trust(key="cosign.pub"))
    monkeypatch.setattr(Transaction, "check", lambda *_: [])
    monkeypatch.setattr(Keeper, "check", lambda *_, **__: None)
    monkeypatch.setattr(run, "keeps_compressed", then("the engine", answer=True))
    monkeypatch.setattr(run, "asked_of_others", then("others", entries.FromOthers({}, {})))
    monkeypatch.setattr(Transaction, "run", then("move", Publication((), (), ())))
    monkeypatch.setattr(Keeper, "record", then("record"))
    monkeypatch.setattr(run, "other_than_asked", then("warn", ()))
    words = ("--registry", "r.example.org", "--sign-key", "cosign.key", "--channel", "preview")
    answer = CliRunner().invoke(main, [verb, *words], catch_exceptions=False)
    assert (answer.exit_code, done) == (0, order)
