"""Each cell keeps its build steps under a tag of its own, and takes them from its base's others."""

from __future__ import annotations

import pytest

from rocm_images.build.step_cache import build_cache
from rocm_images.errors import InputError
from rocm_images.matrix.schema import Matrix

REPOSITORY = "r.example.org:5000/team/cache"


def test_a_cell_writes_its_own_tag_and_reads_those_of_its_base(small_matrix: Matrix) -> None:
    caches = build_cache(small_matrix, REPOSITORY)
    assert caches["sglang-942-rocm7.2.0"].arguments == (
        f"--cache-from=type=registry,ref={REPOSITORY}:sglang-942-rocm7.2.0",
        f"--cache-from=type=registry,ref={REPOSITORY}:sglang-950-rocm7.2.0",
        f"--cache-to=type=registry,ref={REPOSITORY}:sglang-942-rocm7.2.0,mode=max,image-manifest=true,"
        "ignore-error=true",
    )
    assert len({cache.own for cache in caches.values()}) == 4


@pytest.mark.parametrize("text", ["cache", "r.example.org", "r/x:tag", "r/UPPER", "r/x,mode=min"])
def test_what_is_no_repository_is_refused(small_matrix: Matrix, text: str) -> None:
    with pytest.raises(InputError, match="is no repository"):
        build_cache(small_matrix, text)
