"""The private engine starts, says whether it runs, and stops without a trace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal import debian_packages
from rehearsal.engine import PROJECT, PrivateEngine
from rocm_images.buildx import find_buildx
from rocm_images.engine import connect


@pytest.fixture
def private(tmp_path: Path) -> Iterator[PrivateEngine]:
    """An engine of this test's own, from packages that are unpacked once for all."""
    packages = PrivateEngine(PROJECT / ".cache" / "rehearsal").packages
    debian_packages.unpack(packages, debian_packages.distribution())
    (tmp_path / "packages").symlink_to(packages)
    engine = PrivateEngine(tmp_path)
    yield engine
    engine.stop()


def test_it_answers_after_start_and_not_after_stop(private: PrivateEngine) -> None:
    assert not private.answers()
    private.start()
    assert private.answers()
    found = connect({**os.environ, **private.environment()})
    assert find_buildx(found).has_bridge is False
    assert private.stop() is True
    assert private.pid() is None
    assert not private.answers()
    assert not private.runtime.exists()


def test_starting_or_stopping_it_twice_is_harmless(private: PrivateEngine) -> None:
    private.start()
    first = private.pid()
    private.start()
    assert private.pid() == first
    assert private.stop() is True
    assert private.stop() is False


def test_it_survives_being_killed(private: PrivateEngine) -> None:
    private.start()
    first = private.pid()
    assert first is not None
    os.kill(first, 9)
    os.waitpid(first, 0)
    assert private.pid() is None
    private.start()
    assert private.pid() not in (None, first)
    assert private.answers()
