"""An image that does not fit its GPU, or whose SGLang lost the variable, does not pass."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from checkouts import PROJECT, Checkout

CELL = ("--rehearse", "--arch", "942", "--base", "7.2.2")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Copies of the stand-in sources, to be broken."""
    return Path(shutil.copytree(PROJECT / "rehearsal" / "sources", tmp_path / "sources"))


def test_kernels_for_another_gpu_fail_the_smoke_test(apart: Checkout, sources: Path) -> None:
    setup = sources / "aiter" / "setup.py"
    # Beside those for its own; tests/unit/image_doctor has each way to be wrong.
    override = 'import os\n\nos.environ["GPU_ARCHS"] = "gfx942;gfx950"\n'
    text = setup.read_text()
    docstring_end = text.index('"""', 3) + 4
    setup.write_text(text[:docstring_end] + override + text[docstring_end:])
    answer = apart.build_py(*CELL, "--context", f"aiter-src={sources / 'aiter'}")
    assert answer.code == 4
    assert "code-objects" in answer.stderr
    assert "gfx950" in answer.stderr


def test_a_renamed_variable_fails_the_build_with_a_sentence(apart: Checkout, sources: Path) -> None:
    module = "python/sglang/srt/distributed/device_communicators/custom_all_reduce.py"
    path = sources / "sglang" / module
    path.write_text(path.read_text().replace("SGLANG_USE_AITER_AR", "SGLANG_ALL_REDUCE_BY_AITER"))
    answer = apart.build_py(*CELL, "--context", f"sglang-src={sources / 'sglang'}")
    assert answer.code == 1
    assert "image-doctor variable" in answer.stderr
    assert "SGLANG_USE_AITER_AR" in answer.stderr
