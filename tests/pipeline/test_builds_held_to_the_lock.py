"""Builds are held to matrix.lock: by a real engine, against a real registry."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from checkouts import PROJECT, Answer, Checkout

from lock_site import Site, make_site
from registry import Registry
from rocm_images.engine.buildx_program import buildx_command
from rocm_images.engine.connect import Engine
from rocm_images.lock.file import Lock, locked_contexts, read
from rocm_images.lock.update import moved_bases
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load


@pytest.fixture
def site(registry: Registry, running_engine: Engine, elsewhere: Checkout, tmp_path: Path) -> Site:
    return make_site(registry, running_engine, tmp_path, elsewhere)


def test_a_build_hears_of_moved_bases_and_goes_on_where_nobody_answers(
    site: Site, running_engine: Engine
) -> None:
    site.run()
    lock = read(site.lock)
    images = (site.older, site.newer, "example.org/not/locked:1")
    assert moved_bases(running_engine, lock, images) == {}

    digest = site.push(site.newer, "moved")
    moved = moved_bases(running_engine, lock, images)
    assert list(moved) == [site.newer]
    assert lock.bases[site.newer] in moved[site.newer]
    assert digest in moved[site.newer]
    assert moved_bases(running_engine, lock, [site.older]) == {}

    site.registry.stop()
    assert moved_bases(running_engine, lock, images) == {}


@pytest.mark.parametrize(("locked", "content"), [(True, "older"), (False, "moved")])
def test_a_build_on_a_locked_base_takes_its_digest_wherever_the_tag_is(
    site: Site, running_engine: Engine, locked: bool, content: str
) -> None:
    site.run()
    site.push(site.older, "moved")
    lock = read(site.lock) if locked else Lock(schema_number="1", bases={}, sources={})
    sources = cells_of(load(site.folder / "matrix.yaml"))[0].sources
    contexts = locked_contexts(lock, site.older, sources)
    # The Dockerfile names the tag alone, as the rendered ones do.
    folder = site.folder / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text(f"FROM {site.older}\n")
    words = [*buildx_command(running_engine.environment), "build", f"--output={site.folder}/out"]
    words += [f"--build-context={name}={source}" for name, source in contexts.items()]
    words.append(str(folder))
    subprocess.run(words, env=dict(running_engine.environment), check=True, capture_output=True)
    assert (site.folder / "out" / "content").read_text() == content


def build(site: Site) -> Answer:
    """build.py on one cell of the site's matrix, its sources replaced by stand-ins."""
    stand_ins = PROJECT / "rehearsal" / "sources"
    cell = cells_of(load(PROJECT / "matrix.yaml"))[0]
    folders = {name: stand_ins / name.removesuffix("-src") for name in cell.pins}
    # The base has nothing in it, so that no build comes as far as ccache, which has no stand-in.
    contexts = [f"{name}={at if at.is_dir() else stand_ins}" for name, at in folders.items()]
    return site.checkout.build_py(
        *("--matrix", str(site.folder / "matrix.yaml"), "--arch", "942", "--base", "7.2.0"),
        *("--no-smoke", *(word for context in contexts for word in ("--context", context))),
        environment=site.environment,
    )


def test_a_base_that_moved_is_not_built_on_and_both_digests_are_named(site: Site) -> None:
    site.run()
    before = site.entries()[site.older]
    after = site.push(site.older, "moved")
    answer = build(site)
    assert answer.code == 1
    assert before in answer.stderr
    assert after in answer.stderr
    assert "lock --update" in answer.stderr
    assert "build starts" not in answer.stderr


def test_a_base_that_did_not_move_is_built_on(site: Site) -> None:
    site.run()
    answer = build(site)
    # These bases hold a text and no shell, so the first step is as far as a build gets.
    assert "[base 1/" in answer.stderr
    assert "moved" not in answer.stderr
    assert "has no entry" not in answer.stderr


def test_a_build_without_a_lock_warns_of_its_base_and_of_nothing_replaced(site: Site) -> None:
    answer = build(site)
    assert answer.stderr.count("has no entry in matrix.lock") == 1
    assert f"{site.older} has no entry in matrix.lock" in answer.stderr
