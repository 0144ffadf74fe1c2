"""All registries are checked first; each is published to, and what fails names the others."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from two_servers import SECOND

from made_up_repositories import FIRST, OTHER, Repositories, invoke
from rocm_images.catalogue import file
from rocm_images.catalogue.schema import Catalogue
from rocm_images.cli.group import Verbs
from rocm_images.cli.main import main
from rocm_images.cli.options import registry_option
from rocm_images.errors import InputError, PublishRefused, RegistryError, RegistryUnanswered
from rocm_images.registry.address import RegistryAddress


def test_every_registry_is_checked_before_the_first_is_published_to(
    repositories: Repositories, lists: dict[str, Catalogue], tmp_path: Path
) -> None:
    words = ("publish", "--server", "all", "--output", str(tmp_path), "--registry", OTHER)
    # One that is named twice is one.
    done = invoke(*words, "--registry", FIRST)
    assert done.exit_code == 0, done.exception
    first, second = "sglang-rocm", f"{SECOND}-rocm"
    each = (first, second, f"{OTHER}/{first}", f"{OTHER}/{second}")
    assert repositories.done == [
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


def test_one_registry_that_refuses_leaves_all_as_they_are(
    repositories: Repositories, tmp_path: Path
) -> None:
    repositories.refuses = f"{OTHER}/sglang-rocm"
    done = invoke("publish", "--output", str(tmp_path), "--registry", OTHER)
    assert isinstance(done.exception, PublishRefused)
    assert {what for what, _ in repositories.done} == {"check"}


def test_a_registry_that_fails_says_which_have_it_and_what_to_do(
    repositories: Repositories, lists: dict[str, Catalogue], tmp_path: Path
) -> None:
    repositories.fails = ("publish", f"{OTHER}/sglang-rocm")
    done = invoke("publish", "--output", str(tmp_path), "--registry", OTHER)
    assert isinstance(done.exception, RegistryError)
    assert str(done.exception).endswith(
        f"; published and left so: {FIRST}/sglang-rocm; not published to the end: "
        f"{OTHER}/sglang-rocm"
    )
    assert file.read(tmp_path / "catalogue.json") == lists["sglang-rocm"]


def test_of_one_that_does_not_answer_it_is_said_once_to_run_again(
    repositories: Repositories, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(what: str, name: str) -> None:
        if (what, name) == ("publish", f"{OTHER}/sglang-rocm"):
            raise RegistryUnanswered("cannot read the tag x (no answer)")

    monkeypatch.setattr(repositories, "do", silent)
    done = invoke("publish", "--output", str(tmp_path), "--registry", OTHER)
    assert str(done.exception) == (
        f"cannot read the tag x (no answer); published and left so: {FIRST}/sglang-rocm; not "
        f"published to the end: {OTHER}/sglang-rocm: look at --registry (or "
        "ROCM_IMAGES_REGISTRY), or run again when it answers"
    )


def test_the_variable_names_several_for_publish_and_the_first_for_others(
    repositories: Repositories, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROCM_IMAGES_REGISTRY", f"{FIRST} {OTHER}")
    words = ("--sign-key", "cosign.key", "--channel", "preview", "--output", str(tmp_path))
    done = CliRunner().invoke(main, ["publish", *words])
    assert done.exit_code == 0, done.exception
    assert [name for what, name in repositories.done if what == "publish"] == [
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
