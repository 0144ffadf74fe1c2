"""`make publish-demo` builds and publishes what `make rehearse` built, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rehearsal import publish_demo


def test_its_cells_are_those_of_make_rehearse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = re.search(r"^rehearse:.*\n.*build\.py (.*) --rehearse$", _makefile(), re.MULTILINE)
    assert recipe
    cells = recipe[1].split()
    typed: list[list[str]] = []
    monkeypatch.setattr(publish_demo, "FOLDER", tmp_path / "demo")
    # The first step of each part fails, so that nothing else is done.
    monkeypatch.setattr(publish_demo, "_build_py", lambda *words, **_: typed.append([*words]) or 7)
    assert publish_demo.main() == 7
    assert publish_demo._publish_and_pull("127.0.0.1:1", {}) == 7
    built, published = typed
    assert built == [*cells, "--rehearse"]
    assert published[: len(cells) + 1] == ["publish", *cells]


def _makefile() -> str:
    return (publish_demo.PROJECT / "Makefile").read_text()
