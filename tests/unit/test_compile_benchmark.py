"""The tree of real kernels, and what is read of the step that compiles it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.compile_cache import Run, name_of, run_of
from benchmarks.kernels.tree import change, write_tree

LOG = """\
#30 [sgl-kernel 1/1] RUN --mount=type=bind,from=ccache,target=/run/ccache . /run/ccache/use && x
#38 [aiter 1/1] RUN --mount=type=bind,from=clock,target=/run/clock . /run/ccache/use && y
#30 1.2   Hits:            9
#38 8.1 Cacheable calls:  40 / 41 (97.56%)
#30 DONE 2.0s

#38 [aiter 1/1] RUN --mount=type=bind,from=clock,target=/run/clock . /run/ccache/use && y
#38 8.1   Hits:            39 / 40 (97.50%)
#38 8.1   Misses:           1 / 40 ( 2.50%)
#38 DONE 12.5s
"""


def test_the_tree_has_forty_kernels_none_like_another(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "aiter")
    texts = [file.read_text() for file in (tree / "kernels").glob("*.cu")]
    assert len(texts) == len(set(texts)) == 40
    change(tree, "rms_norm_f16", "1e-6f", "1e-5f")
    again = [file.read_text() for file in (tree / "kernels").glob("*.cu")]
    assert len(set(texts) - set(again)) == 1


def test_time_and_units_are_those_of_the_step_that_compiles() -> None:
    assert run_of("second", LOG) == Run("second", 12.5, 39, 1)


def test_a_run_with_fewer_kernels_takes_no_whole_runs_place() -> None:
    names = {name_of("2026-11-26T10:00", kernels) for kernels in (None, 4, 6)}
    assert len(names) == 3
    assert "2026-11-26-compile-cache.json" in names


def test_a_log_in_which_nothing_was_compiled_is_no_result() -> None:
    with pytest.raises(ValueError, match="not enough values"):
        run_of("second", "#38 CACHED\n")
