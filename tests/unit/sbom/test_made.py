"""A bill is made once, kept beside the evidence, and whoever waits for it knows for what."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from made_up_sbom import CELL_NAME, IMAGE_ID, LABELS, OTHER_ID, SAID, bill_of

from rocm_images.errors import EngineError
from rocm_images.sbom import made


class Image:
    """An image that an engine has."""

    id, labels, attrs = IMAGE_ID, LABELS, {"Config": None}


class Engine:
    """An engine with one image, of which a program says something."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, says: Any = SAID) -> None:
        self.asked = 0
        self.waited: list[str] = []
        self.says = says
        monkeypatch.setattr(made, "found_image", lambda *_: Image())
        monkeypatch.setattr(made, "asked", self._asked)
        monkeypatch.setattr(made, "waiting_for", self._waited)

    def client(self) -> Engine:
        return self

    def close(self) -> None: ...

    def _asked(self, *_: object) -> Any:
        self.asked += 1
        return self.says

    def _waited(self, whom: str) -> Any:
        self.waited.append(whom)
        return nullcontext()


def test_a_bill_is_made_once_and_again_where_the_file_is_of_another_image_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine: Any = Engine(monkeypatch)
    path = made.sbom_path(tmp_path, IMAGE_ID)
    assert made.sbom_of(engine, IMAGE_ID, tmp_path) == bill_of(IMAGE_ID)
    assert made.read_sbom(path, {IMAGE_ID}) == bill_of(IMAGE_ID)
    assert made.sbom_of(engine, IMAGE_ID, tmp_path) == bill_of(IMAGE_ID)
    assert (engine.asked, engine.waited) == (1, [f"syft, which lists what {CELL_NAME} holds"])
    for number, content in enumerate(("{", "[]", path.read_text().replace(IMAGE_ID, OTHER_ID)), 2):
        path.write_text(content)
        assert made.sbom_of(engine, IMAGE_ID, tmp_path) == bill_of(IMAGE_ID)
        assert engine.asked == number
        assert made.read_sbom(path, {IMAGE_ID}) == bill_of(IMAGE_ID)


def test_what_a_program_says_that_is_no_bill_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine: Any = Engine(monkeypatch, says={"bomFormat": "SPDX"})
    with pytest.raises(EngineError, match="syft's answer is none"):
        made.sbom_of(engine, IMAGE_ID, tmp_path)
    assert list(tmp_path.iterdir()) == []
