"""`build.py lock` against a real registry and a real git repository."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from checkouts import Checkout

from conftest import BUILD_PY
from interrupted import started
from lock_site import FIXED, GIT, Site, instead_of, make_site
from registry import Registry, credentials
from rocm_images.engine.connect import Engine
from rocm_images.lock import upstream as resolve


@pytest.fixture
def site(registry: Registry, running_engine: Engine, elsewhere: Checkout, tmp_path: Path) -> Site:
    return make_site(registry, running_engine, tmp_path, elsewhere)


@pytest.fixture(params=["engine", "buildx"])
def anywhere(request: pytest.FixtureRequest, site: Site) -> Site:
    """With an engine that asks registries, and with buildx alone."""
    if request.param == "engine":
        return site
    absent = f"unix://{site.folder}/absent.sock"
    return replace(site, environment={**site.environment, "DOCKER_HOST": absent})


def test_it_locks_every_base_and_source_and_then_finds_nothing_to_do(anywhere: Site) -> None:
    digests = [anywhere.push(anywhere.older, "1"), anywhere.push(anywhere.newer, "2")]
    answer = anywhere.run()
    assert answer.code == 0, answer.stderr
    assert anywhere.entries() == {
        anywhere.older: digests[0],
        anywhere.newer: digests[1],
        **FIXED,
        f"{GIT}#v0.5.21": anywhere.repository.git("rev-parse", "HEAD"),
    }
    written = anywhere.lock.stat().st_mtime_ns
    for again in (anywhere.run(), anywhere.run("--check")):
        assert again.code == 0
        assert again.stdout == f"{anywhere.lock} is up to date\n"
        # The engine that is used is told of, or that the one that is named is not there.
        assert [x for x in again.stderr.splitlines() if "Docker Engine" not in x] == []
    assert anywhere.lock.stat().st_mtime_ns == written
    assert [path.name for path in anywhere.folder.iterdir() if "lock" in path.name] == [
        "matrix.lock"
    ]


def test_check_shows_what_moved_and_only_lock_takes_it(anywhere: Site) -> None:
    anywhere.run()
    before, text = anywhere.entries(), anywhere.lock.read_text()
    digest = anywhere.push(anywhere.newer, "moved")
    commit = anywhere.repository.commit("second")
    anywhere.repository.git("tag", "--force", "v0.5.21")
    source = f"{GIT}#v0.5.21"

    checked = anywhere.run("--check")
    assert checked.code == 7
    assert checked.stdout.splitlines() == [
        f"{anywhere.newer}: moved from {before[anywhere.newer]} to {digest}",
        f"{source}: moved from {before[source]} to {commit}",
    ]
    assert "is not what upstream has now" in checked.stderr
    assert anywhere.lock.read_text() == text

    assert anywhere.run().code == 0
    assert anywhere.entries() == {**before, anywhere.newer: digest, source: commit}
    assert anywhere.run("--check").code == 0


def test_a_check_without_a_lock_says_what_it_would_hold(site: Site) -> None:
    answer = site.run("--check")
    assert answer.code == 7
    assert answer.stdout.count("no entry before, now ") == 3 + len(FIXED)
    assert not site.lock.exists()


def test_a_registry_that_is_gone_leaves_its_entries_and_the_others_are_renewed(
    anywhere: Site,
) -> None:
    anywhere.run()
    before = anywhere.entries()
    anywhere.registry.stop()
    commit = anywhere.repository.commit("second")
    anywhere.repository.git("tag", "--force", "v0.5.21")
    answer = anywhere.run()
    assert answer.code == 6
    for image in (anywhere.older, anywhere.newer):
        line = next(x for x in answer.stderr.splitlines() if x.startswith(f"build.py: {image}: "))
        assert "connection refused" in line
        assert f"its entry stays {before[image]}" in line
    assert f"2 of {3 + len(FIXED)} names could not be resolved" in answer.stderr
    assert anywhere.entries() == {**before, f"{GIT}#v0.5.21": commit}
    assert anywhere.run("--check").code == 6

    anywhere.registry.start()
    assert anywhere.run("--check").code == 0


def test_what_moved_outweighs_what_could_not_be_asked(site: Site) -> None:
    site.run()
    site.registry.stop()
    site.repository.commit("second")
    site.repository.git("tag", "--force", "v0.5.21")
    answer = site.run("--check")
    assert answer.code == 7
    assert answer.stderr.count("its entry stays") == 2


def test_a_tag_that_the_registry_does_not_have_gets_no_entry(anywhere: Site) -> None:
    absent = f"{anywhere.registry.address}/rocm/pytorch:absent"
    anywhere.write_matrix((anywhere.newer, absent))
    answer = anywhere.run()
    assert answer.code == 6
    line = next(x for x in answer.stderr.splitlines() if absent in x)
    by_engine = not anywhere.environment["DOCKER_HOST"].endswith("/absent.sock")
    assert ("not found in its registry" if by_engine else f"{absent}: not found") in line
    assert line.endswith("it has no entry yet")
    assert absent not in anywhere.entries()
    assert anywhere.older in anywhere.entries()


def test_a_registry_that_wants_a_password_gets_the_users(
    registry_program: Path, anywhere: Site, tmp_path: Path
) -> None:
    with Registry(registry_program, tmp_path / "closed", password=True) as closed:
        digest = closed.push("team/base", "one", {"a": "b"})
        image = f"{closed.address}/team/base:one"
        anywhere.write_matrix((anywhere.newer, image))
        (tmp_path / "config.json").write_text(
            json.dumps({"auths": {closed.address: {"auth": credentials()}}})
        )
        without = anywhere.run("--update", image, DOCKER_CONFIG=str(tmp_path / "absent"))
        assert without.code == 6
        assert image in without.stderr
        assert anywhere.run("--update", image, DOCKER_CONFIG=str(tmp_path)).code == 0
        assert anywhere.entries() == {image: digest}


@pytest.mark.parametrize("name", ["7.2.2", "image", "sglang", "source"])
def test_an_update_changes_the_named_entry_alone(site: Site, name: str) -> None:
    site.run()
    before = site.entries()
    moved = {site.older: site.push(site.older, "3"), site.newer: site.push(site.newer, "4")}
    source = f"{GIT}#v0.5.21"
    moved[source] = site.repository.commit("second")
    site.repository.git("tag", "--force", "v0.5.21")
    key = source if name in ("sglang", "source") else site.newer
    given = {"image": site.newer, "source": source}.get(name, name)
    assert site.run("--update", given).code == 0
    assert site.entries() == {**before, key: moved[key]}


def test_an_update_of_an_unknown_name_writes_nothing(site: Site) -> None:
    answer = site.run("--update", "sglnag")
    assert answer.code == 2
    assert "did you mean 'sglang'?" in answer.stderr
    assert not site.lock.exists()


def test_entries_that_the_matrix_no_longer_names_are_dropped_by_lock_alone(site: Site) -> None:
    site.run()
    before = site.entries()
    other = f"{site.registry.address}/rocm/pytorch:other"
    digest = site.push(other, "other")
    site.write_matrix((site.newer, other))
    checked = site.run("--check")
    assert checked.code == 7
    assert f"{site.newer}: dropped" in checked.stdout
    assert site.run("--update", other).code == 0
    assert site.entries() == {**before, other: digest}
    assert site.run().code == 0
    del before[site.newer]
    assert site.entries() == {**before, other: digest}


@pytest.mark.parametrize("arguments", [[], ["--check"], ["--update", "sglang"]])
def test_an_invalid_lock_is_refused_where_it_is_wrong_and_left_alone(
    site: Site, arguments: list[str]
) -> None:
    site.run()
    text = site.lock.read_text().replace("sha256:", "sha256:0", 1)
    site.lock.write_text(text)
    line = next(n for n, x in enumerate(text.splitlines(), 1) if "sha256:0" in x)
    answer = site.run(*arguments)
    assert answer.code == 2
    assert f"{site.lock}:{line}:" in answer.stderr
    assert "is not a digest" in answer.stderr
    assert "restore the committed one" in answer.stderr
    assert site.lock.read_text() == text


def test_an_entry_that_was_tampered_with_does_not_pass_the_check(site: Site) -> None:
    site.run()
    good = site.entries()[site.newer]
    wrong = f"sha256:{'0' * 64}"
    site.lock.write_text(site.lock.read_text().replace(good, wrong))
    answer = site.run("--check")
    assert answer.code == 7
    assert f"{site.newer}: moved from {wrong} to {good}" in answer.stdout


def test_an_annotated_tag_stands_for_its_commit(site: Site) -> None:
    site.repository.git("tag", "--force", "--annotate", "--message=x", "v0.5.21")
    assert site.repository.git("rev-parse", "v0.5.21") != site.repository.git("rev-parse", "HEAD")
    assert site.run("--update", "sglang").code == 0
    assert site.entries()[f"{GIT}#v0.5.21"] == site.repository.git("rev-parse", "HEAD")


@pytest.mark.parametrize("ref", ["topic/one", "refs/heads/topic/one", "heads/topic/one"])
def test_a_branch_stands_for_its_head(site: Site, ref: str) -> None:
    site.repository.git("switch", "--quiet", "--create", "topic/one")
    head = site.repository.commit("second")
    site.repository.git("switch", "--quiet", "main")
    # The end of another branch's name is not that branch.
    site.repository.git("branch", "refs/heads/topic/one")
    site.write_matrix(("ref: v0.5.21", f"ref: {ref}"))
    assert site.run("--update", "sglang").code == 0
    assert site.entries() == {f"{GIT}#{ref}": head}


def test_a_tag_comes_before_a_branch_of_the_same_name(site: Site) -> None:
    tagged = site.repository.git("rev-parse", "v0.5.21")
    site.repository.git("branch", "v0.5.21")
    site.repository.git("switch", "--quiet", "v0.5.21")
    assert site.repository.commit("second") != tagged
    assert site.run("--update", "sglang").code == 0
    assert site.entries() == {f"{GIT}#v0.5.21": tagged}


@pytest.mark.parametrize("ref", ["v0.5.22", "c16d44b"])
def test_a_ref_that_the_repository_does_not_have_is_a_sentence(site: Site, ref: str) -> None:
    site.repository.git("tag", f"other/{ref}")
    site.write_matrix(("ref: v0.5.21", f"ref: {ref}"))
    answer = site.run()
    assert answer.code == 6
    assert f"neither tag nor branch '{ref}' (write a commit with all its digits)" in answer.stderr


def test_a_git_server_that_is_gone_leaves_its_entry(site: Site) -> None:
    site.run()
    before = site.lock.read_text()
    answer = site.run(**instead_of(f"{site.folder}/absent"))
    assert answer.code == 6
    assert f"1 of {3 + len(FIXED)} names" in answer.stderr
    assert site.lock.read_text() == before


def test_what_names_its_own_digest_or_commit_needs_nobody_to_ask(site: Site) -> None:
    digest, commit = f"sha256:{'1' * 64}", "2" * 40
    site.write_matrix(
        ("ref: v0.5.21", f"ref: {commit}"),
        (site.older, f"example.invalid/a:1@{digest}"),
        (site.newer, f"example.invalid/b@{digest}"),
    )
    answer = site.run(PATH=str(site.folder), DOCKER_HOST=f"unix://{site.folder}/absent.sock")
    assert answer.code == 0, answer.stderr
    assert site.entries() == {
        f"example.invalid/a:1@{digest}": digest,
        f"example.invalid/b@{digest}": digest,
        **FIXED,
        f"{GIT}#{commit}": commit,
    }


def test_without_engine_buildx_and_git_it_says_what_to_install(site: Site) -> None:
    # A plugin that does not work hides the one that this machine may have.
    plugin = site.folder / "cli-plugins" / "docker-buildx"
    plugin.parent.mkdir()
    plugin.write_text("#!/bin/sh\nexit 1\n")
    plugin.chmod(0o755)
    answer = site.run(
        PATH=str(site.folder),
        DOCKER_HOST=f"unix://{site.folder}/absent.sock",
        DOCKER_CONFIG=str(site.folder),
    )
    assert answer.code == 6
    assert "no Docker Engine answers, and buildx is missing: install it" in answer.stderr
    assert "git cannot be started" in answer.stderr
    assert site.entries() == FIXED


@pytest.fixture
def silent_server() -> Iterator[socket.socket]:
    """Accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


def test_a_git_server_that_never_answers_is_given_up(
    silent_server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = silent_server.getsockname()[1]
    for name, value in instead_of(f"http://127.0.0.1:{port}/sglang.git").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(resolve, "TIMEOUT_SECONDS", 1.0)
    with pytest.raises(resolve.Unresolved, match="no answer within 1 s"):
        resolve.commit_of(GIT, "v0.5.21")
    silent_server.accept()[0].close()
    assert not processes_that_name(str(port))


def test_an_interrupt_ends_every_question(site: Site, silent_server: socket.socket) -> None:
    site.run()
    before = site.lock.read_text()
    port = silent_server.getsockname()[1]
    environment = {**site.environment, **instead_of(f"http://127.0.0.1:{port}/sglang.git")}
    words = [*BUILD_PY, "lock", f"--matrix={site.folder}/matrix.yaml"]
    with started(words, environment) as run, silent_server.accept()[0]:
        assert processes_that_name(str(port))
        _, stderr = run.interrupt()
        assert run.processes == []
    assert run.process.returncode == 130
    said = [line for line in stderr.splitlines() if line and not line.startswith("engine: ")]
    assert said == ["build.py: interrupted"]
    assert site.lock.read_text() == before


def processes_that_name(text: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if f":{text}/" in words:
                found.append(int(entry.name))
    return found
