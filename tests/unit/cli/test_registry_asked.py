"""How often a verb asks a registry, and what it says of one that does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import pytest

from invoked import options, run
from made_up_registry import MadeUpRegistry
from rocm_images.build.run import BuildCommand
from rocm_images.cli.main import main
from rocm_images.errors import RegistryError, RegistryUnanswered
from rocm_images.registry import retries


def test_every_verb_that_asks_the_registry_takes_how_often() -> None:
    verbs: dict[str, set[str]] = {}
    for verb, option in options():
        verbs.setdefault(verb, set()).update(option.opts)
    asking = {verb for verb, names in verbs.items() if "--registry" in names}
    assert {"plan", "build", "publish"} <= asking
    assert {verb for verb in asking if "--attempts" not in verbs[verb]} == set()


def test_build_asks_a_registry_as_often_as_it_is_told(builds: list[BuildCommand]) -> None:
    run("--attempts", "3")
    run(ROCM_IMAGES_ATTEMPTS="2")
    run()
    assert [one.attempts for one in builds] == [3, 2, 6]


@pytest.fixture
def failing() -> Iterator[MadeUpRegistry]:
    made = MadeUpRegistry()
    made.answers = lambda request: request.answer(b"", 503)
    yield made
    made.close()


ONE = ("--arch", "942", "--base", "7.2.0")
OPTION = "--registry (or ROCM_IMAGES_REGISTRY)"


@pytest.mark.parametrize("variables", [{}, {"ROCM_IMAGES_ATTEMPTS": "2"}])
def test_plan_asks_a_registry_that_fails_as_often_as_it_is_told(
    failing: MadeUpRegistry, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "sleep", lambda seconds: None)
    words = () if variables else ("--attempts", "2")
    done = run("plan", *ONE, "--registry", failing.address, *words, **variables)
    assert isinstance(done.exception, RegistryError)
    assert len(failing.asked) == 2


@pytest.mark.parametrize(
    "address", ["registry.invalid/team", "127.0.0.1:9", "failing"], ids=lambda one: one[:8]
)
def test_of_a_registry_that_does_not_answer_it_is_said_where_it_is_named(
    failing: MadeUpRegistry, address: str
) -> None:
    where = failing.address if address == "failing" else address
    done = run("plan", *ONE, "--registry", where, "--attempts", "1")
    assert isinstance(done.exception, RegistryError)
    assert done.exception.exit_code == 9
    said = str(done.exception)
    assert said.endswith(f": look at {OPTION}, or run again when it answers")
    assert len(said) < 400


def test_of_a_registry_that_answers_it_is_not(failing: MadeUpRegistry) -> None:
    failing.answers = lambda request: request.answer(b"", 400)
    done = run("plan", *ONE, "--registry", failing.address)
    assert isinstance(done.exception, RegistryError)
    assert "it answered 400" in str(done.exception)
    assert "look at" not in str(done.exception)


@pytest.mark.parametrize(
    ("verb", "named"),
    [
        ("publish", OPTION),
        ("mirror", f"{OPTION} and --to"),
        ("rollback", OPTION),
        ("prune", OPTION),
        ("ci-matrix", "--missing-from"),
        ("pull", "its name"),
    ],
)
def test_each_verb_names_what_names_its_registry(
    verb: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unanswered(*_: object) -> NoReturn:
        raise RegistryUnanswered("r: cannot read it (no answer)")

    monkeypatch.setattr(main.commands[verb], "invoke", unanswered)
    monkeypatch.setattr(main.commands[verb], "parse_args", lambda context, words: [])
    said = str(run(verb).exception)
    assert said == f"r: cannot read it (no answer): look at {named}, or run again when it answers"
