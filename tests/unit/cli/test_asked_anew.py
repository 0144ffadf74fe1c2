"""What `build --no-cache` and `build --pull` make anew, and what stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from invoked import run
from rocm_images.build.run import BuildCommand
from rocm_images.lock import file as lock


@pytest.mark.parametrize("word", ["--no-cache", "--pull"])
def test_what_is_asked_for_anew_is_built_though_it_is_there(
    word: str, builds: list[BuildCommand]
) -> None:
    run(word)
    run()
    assert [(one.force, one.no_cache, one.pull) for one in builds] == [
        (True, word == "--no-cache", word == "--pull"),
        (False, False, False),
    ]


def test_a_base_that_is_made_here_is_not_pulled() -> None:
    assert "--pull: the bases of a rehearsal" in str(run("--pull", "--rehearse").exception)


def test_a_base_that_the_lock_holds_is_said_to_stay_as_it_was(
    matrix_file: Callable[..., Path], no_engine: None
) -> None:
    path = matrix_file()
    held = lock.EMPTY.model_copy(update={"bases": {"rocm/pytorch:rocm7.2": f"sha256:{'a' * 64}"}})
    lock.write(lock.path_of(path), held, path.name)
    done = run("--pull", "--matrix", str(path))
    assert "lock --update 7.2.0" in done.stderr
    assert "7.2.2" not in done.stderr
