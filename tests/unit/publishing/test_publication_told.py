"""What is said of a publication that would be, and to machines of one that was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import pytest
from click.testing import CliRunner
from two_servers import SECOND

from made_up_repositories import FIRST, OTHER, Repositories, invoke
from rocm_images.cli.main import main
from rocm_images.errors import InputError, PublishRefused, RegistryError
from rocm_images.publishing.findings import Finding, Judged
from rocm_images.publishing.scanning import Scanned
from rocm_images.publishing.transaction import Transaction


def test_a_dry_run_says_of_each_registry_what_would_happen_and_writes_nothing(
    repositories: Repositories,
) -> None:
    done = invoke("publish", "--server", "all", "--dry-run", "--registry", OTHER)
    assert done.exit_code == 0, done.exception
    assert {what for what, _ in repositories.done} == {"check"}
    assert len(repositories.done) == 4
    for name in ("sglang-rocm", f"{SECOND}-rocm"):
        for registry in (FIRST, OTHER):
            assert f"\n{registry}/{name}\n" in done.stdout


def test_a_dry_run_refuses_what_the_scanner_refuses_and_a_push_does_not_ask_it(
    repositories: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> NoReturn:
        raise PublishRefused("known vulnerabilities: nothing was signed and no tag moved")

    monkeypatch.setattr(Transaction, "scan", refuses)
    done = invoke("publish", "--dry-run")
    assert isinstance(done.exception, PublishRefused)
    # What would be pushed is said all the same.
    assert "IMMUTABLE TAG" in done.stdout
    assert repositories.done == [("check", "sglang-rocm")]
    assert invoke("push", "--dry-run").exit_code == 0


def test_a_dry_run_shows_what_the_scanner_found(
    repositories: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = Judged((), (), (Finding("CVE-2099-0001", "low", ()),), (), frozenset())
    found = Scanned("sglang-942-rocm7.2.2", f"sha256:{'d' * 64}", "", judged)
    monkeypatch.setattr(Transaction, "scan", lambda *_: (found,))
    assert "sglang-942-rocm7.2.2  sha256:dddddddddddd  low" in invoke("publish", "--dry-run").stdout


def test_machines_get_one_object_of_every_repository_and_nothing_else(
    repositories: Repositories, tmp_path: Path
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
    repositories: Repositories, tmp_path: Path
) -> None:
    words = ("publish", "--server", "all", "--json", "--output", str(tmp_path))
    repositories.fails = ("record", f"{SECOND}-rocm")
    done = invoke(*words)
    assert isinstance(done.exception, RegistryError)
    (only,) = json.loads(done.stdout)["repositories"]
    assert only["repository"] == f"{FIRST}/sglang-rocm"
    repositories.fails = ("publish", "sglang-rocm")
    assert invoke(*words).stdout == ""


def test_a_bundle_has_no_object_for_machines(tmp_path: Path) -> None:
    words = ("--from", str(tmp_path / "a.tar"), "--registry", FIRST, "--json")
    done = CliRunner().invoke(main, ["publish", *words])
    assert isinstance(done.exception, InputError)
    assert "--json means nothing to a bundle" in str(done.exception)
