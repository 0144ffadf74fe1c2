"""The pull request that renews the lock says what moved, where it goes in, and what follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from rocm_images.errors import InputError
from rocm_images.lock.changes import Change
from rocm_images.lock.report import lock_report, write_report
from rocm_images.matrix.schema import Matrix

BASE = Change("rocm/pytorch:rocm7.2", "sha256:aa", "sha256:bb")
SOURCE = Change("https://example.org/sglang.git#v0.5.21", None, "c" * 40)
DROPPED = Change("rocm/pytorch:old", "sha256:cc", None)


def test_a_base_goes_into_its_own_cells_and_a_source_into_all(small_matrix: Matrix) -> None:
    lines = lock_report(small_matrix, [BASE, SOURCE, DROPPED], ()).splitlines()
    cells = "sglang-942-rocm7.2.0, sglang-950-rocm7.2.0"
    assert f"| `rocm/pytorch:rocm7.2` | `sha256:aa` | `sha256:bb` | {cells} |" in lines
    assert sum("sglang-942-rocm7.2.2" in line for line in lines) == 1
    assert "| `rocm/pytorch:old` | `sha256:cc` | `-` | none |" in lines
    assert "### Why this is safe to take" in lines


def test_where_nothing_moved_nothing_is_called_safe(small_matrix: Matrix) -> None:
    assert lock_report(small_matrix, (), ()) == "Nothing moved.\n"


def test_what_could_not_be_asked_is_said(small_matrix: Matrix) -> None:
    assert "- rocm/x: not resolved" in lock_report(small_matrix, (), ["rocm/x: not resolved"])


def test_no_name_and_no_sentence_from_upstream_can_write_the_page(small_matrix: Matrix) -> None:
    moved = Change("a`b|c", None, "sha256:bb")
    page = lock_report(small_matrix, [moved], ["it said <b>no</b>"])
    assert "| ``a`b\\|c`` | `-` | `sha256:bb` | none |" in page
    assert "- it said &lt;b>no&lt;/b>" in page


def test_a_report_that_cannot_be_written_is_a_sentence(
    small_matrix: Matrix, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"cannot write it .*--report"):
        write_report(tmp_path, small_matrix, (), ())
