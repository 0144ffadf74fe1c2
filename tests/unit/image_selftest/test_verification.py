"""A self-test's file verifies as it was written, and not once it is changed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from image_selftest.document import document_of, seal_of, sealed
from made_up_tiers import DATE, IMAGE_ID, NO_SERVE, description, tiers_at
from rocm_images.cli.main import main
from rocm_images.errors import EvidenceInvalid, InputError
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.smoke import evidence
from rocm_images.smoke.selftest import Selftest
from rocm_images.smoke.verification import verify

Make = Callable[..., Path]


@pytest.fixture
def cells(small_matrix: Matrix) -> tuple[Cell, ...]:
    return cells_of(small_matrix)


@pytest.fixture
def written(tmp_path: Path, cells: Sequence[Cell]) -> Make:
    """Writes the file of a self-test, changed by a function, with a seal that fits."""

    def write(level: str = "serve", change: Callable[[Any], object] = lambda d: None) -> Path:
        image = {"id": IMAGE_ID, "contents": IMAGE_ID, "description": description(cells[0])}
        document = json.loads(json.dumps(document_of(image, tiers_at(level), DATE, 10.0)))
        change(document)
        path = tmp_path / "evidence.json"
        path.write_text(json.dumps(sealed(document)))
        return path

    return write


@pytest.mark.parametrize("level", ["static", "stand-in", "gpu", "serve"])
def test_a_file_of_every_level_verifies(written: Make, cells: Sequence[Cell], level: str) -> None:
    found = verify(written(level), cells)
    assert isinstance(found, Selftest)
    assert (found.level, found.passed) == (level, True)


def test_the_seal_is_the_one_that_the_image_computes() -> None:
    document = {"b": [1.5, None, "ü"], "a": {"y": True, "x": -0.0}}
    assert evidence.seal_of(document) == seal_of(document)
    assert evidence.seal_of({**document, "seal": "x"}) == seal_of(document)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"passed": true', '"passed": false'),
        ("34.9", "349.0"),
        ("gfx942", "gfx950"),
        ('"level": "serve"', '"level": "gpu"'),
        ("2026-11-24", "2026-11-25"),
        (IMAGE_ID, "sha256:" + "cd" * 32),
        ('"seal": "sha256:', '"seal": "sha256:00'),
    ],
)
def test_a_tampered_file_does_not_verify(
    written: Make, cells: Sequence[Cell], old: str, new: str
) -> None:
    path = written()
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(EvidenceInvalid, match="changed after the test"):
        verify(path, cells)


@pytest.mark.parametrize("content", ['{"schema": 2, "images": []}', "{}", "[]", "5", "null"])
def test_what_never_was_evidence_is_said_to_be_none_and_which_file_is(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text(content)
    answer = CliRunner().invoke(main, ["evidence", "verify", str(path)], standalone_mode=False)
    assert isinstance(answer.exception, InputError)
    assert answer.exception.exit_code == 2
    said = str(answer.exception)
    assert said.startswith(f"{path} is no evidence")
    assert "name the evidence.json of a self-test, or build/evidence/" in said
    assert "changed" not in said


def change_level(document: Any) -> None:
    document["level"] = "serve"


def change_sizes(document: Any) -> None:
    document["tiers"][2]["found"]["sizes"][1]["tensor_parallel"] = 8


def change_check(document: Any) -> None:
    document["tiers"][2]["found"]["sizes"][0]["checks"][0]["passed"] = False


def change_status(document: Any) -> None:
    document["tiers"][1]["exit_code"] = 15


def change_inner_code(document: Any) -> None:
    document["tiers"][1]["found"]["exit_code"] = 15


def change_gfx(document: Any) -> None:
    document["image"]["description"]["gfx"] = "gfx950"


def change_cell(document: Any) -> None:
    document["image"]["description"]["cell"] = "sglang-942-rocm9.9.9"


def change_devices(document: Any) -> None:
    document["tiers"][2]["found"]["devices"] = []


def change_race_devices(document: Any) -> None:
    document["tiers"][3]["found"]["devices"].pop()


def change_race_check(document: Any) -> None:
    document["tiers"][3]["found"]["races"][0]["checks"][0]["passed"] = False


def change_race_sizes(document: Any) -> None:
    document["tiers"][3]["found"]["races"] = []


def change_race_held(document: Any) -> None:
    document["tiers"][3]["found"]["races"][1]["captures"] = 0


def change_race_alone(document: Any) -> None:
    document["tiers"][2] = asdict(NO_SERVE)


def change_no_race(document: Any) -> None:
    del document["tiers"][3]


def change_date(document: Any) -> None:
    document["date"] = "2999-01-01T00:00:00+00:00"


def change_no_date(document: Any) -> None:
    document["date"] = "yesterday"


def change_tiers(document: Any) -> None:
    del document["tiers"][2]


def change_passed(document: Any) -> None:
    document["passed"] = False


def change_doctor(document: Any) -> None:
    document["tiers"][0]["found"]["checks"][0]["status"] = "fail"


def change_image(document: Any) -> None:
    document["image"]["description"] = None


def change_stand_in(document: Any) -> None:
    document["tiers"][1]["found"]["runtime"]["is_stand_in"] = True


def change_extra(document: Any) -> None:
    document["remark"] = "ran fine"


def change_type(document: Any) -> None:
    document["tiers"][2]["found"]["sizes"] = [1, 2]


def change_id(document: Any) -> None:
    document["image"]["id"] = "latest"


@pytest.mark.parametrize(
    ("level", "change", "said"),
    [
        ("gpu", change_level, "claims the level serve, and what ran amounts to gpu"),
        ("stand-in", change_level, "claims the level serve, and what ran amounts to stand-in"),
        ("static", change_level, "claims the level serve, and what ran amounts to static"),
        ("serve", change_stand_in, "amounts to stand-in"),
        ("serve", change_sizes, "tier serve ran on 8 GPUs, of 2"),
        ("serve", change_check, "TP 1 of tier serve says passed: True"),
        ("serve", change_race_devices, "the servers of tier race ran on other devices"),
        ("serve", change_race_check, "TP 1 of tier race says passed: True"),
        ("serve", change_race_sizes, "the race ended with 0, and not every size passed"),
        ("serve", change_race_held, "the race at TP 2 passed, and held no capture open"),
        ("serve", change_race_alone, "the race ran, and the serve tier"),
        ("serve", change_no_race, "the test did not finish"),
        ("serve", change_status, "tier probe is passed with exit code 15"),
        ("serve", change_inner_code, "ended with 0, and its result says 15"),
        ("serve", change_gfx, "sglang-942-rocm7.2.0 is another one"),
        ("serve", change_cell, "which this matrix does not have"),
        ("serve", change_devices, "ran on other devices"),
        ("serve", change_date, "is in the future"),
        ("serve", change_no_date, "'yesterday', is none"),
        ("serve", change_tiers, "the test did not finish"),
        ("serve", change_passed, "its tiers say otherwise"),
        ("serve", change_doctor, "tier doctor passed, and torch did not"),
        ("serve", change_image, "does not say which image"),
        ("serve", change_extra, "remark"),
        ("serve", change_type, "not what their programs print"),
        ("serve", change_id, "image.id"),
    ],
)
def test_a_file_that_contradicts_itself_does_not_verify_whatever_its_seal(
    written: Make,
    cells: Sequence[Cell],
    level: str,
    change: Callable[[Any], object],
    said: str,
) -> None:
    with pytest.raises(EvidenceInvalid, match=said):
        verify(written(level, change), cells)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"seal": 1}'])
def test_what_is_evidence_no_more_is_a_sentence(
    tmp_path: Path, cells: Sequence[Cell], content: bytes
) -> None:
    path = tmp_path / "evidence.json"
    path.write_bytes(content)
    with pytest.raises(EvidenceInvalid, match=r"evidence\.json"):
        verify(path, cells)


def test_a_file_that_is_not_there_is_bad_input(tmp_path: Path, cells: Sequence[Cell]) -> None:
    with pytest.raises(InputError, match="No such file"):
        verify(tmp_path / "none.json", cells)


def test_the_verb_tells_what_a_file_claims_and_of_which_image(written: Make) -> None:
    # Cells of the project's matrix have the names of the small one's.
    done = CliRunner().invoke(main, ["evidence", "verify", str(written())])
    assert done.exit_code == 0, done.output
    assert "sglang-942-rocm7.2.0: passed at level serve" in done.output
    assert IMAGE_ID in done.output


def test_a_tampered_file_has_an_exit_code_of_its_own(written: Make) -> None:
    path = written()
    path.write_text(path.read_text().replace("34.9", "99.9"))
    program = Path(__file__).parents[3] / "build.py"
    done = subprocess.run(
        [sys.executable, program, "evidence", "verify", path], capture_output=True, text=True
    )
    assert done.returncode == 11
    assert "changed after the test" in done.stderr
    assert "Traceback" not in done.stderr
