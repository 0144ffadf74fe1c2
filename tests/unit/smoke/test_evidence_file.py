"""A file is evidence only as it was written: its seal, its image and the types in it fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from made_up_evidence import IMAGE_ID, evidence, probe, serve
from rocm_images.cli.main import main
from rocm_images.engine.run_flags import AS_DEPLOYED
from rocm_images.matrix.schema import Matrix
from rocm_images.smoke.evidence import SEAL, Evidence, Level, evidence_path, seal_of
from rocm_images.smoke.outcome import read_findings


def test_it_is_written_under_the_digest_of_its_image(small_matrix: Matrix, tmp_path: Path) -> None:
    path = evidence(small_matrix, Level.STAND_IN, probe(stand_in=True)).write(tmp_path)
    assert path == evidence_path(tmp_path, IMAGE_ID) == tmp_path / f"{'ab' * 32}.json"
    document = json.loads(path.read_text())
    assert document["image_id"] == IMAGE_ID
    assert document["level"] == "stand-in"
    assert document["schema"] == 1


def test_it_holds_no_credentials(small_matrix: Matrix, tmp_path: Path) -> None:
    address = "http://me:secret@proxy"
    found = {**probe(stand_in=True), "sentence": f"no answer from {address}"}
    served = {**serve(), "log": [address]}
    made = evidence(small_matrix, Level.STAND_IN, found, (f"test_x: {address}",), served)
    text = made.write(tmp_path).read_text()
    assert text.count("http://***@proxy") == 3
    assert "secret" not in text
    # The seal is of what was written.
    assert Evidence.read(tmp_path, IMAGE_ID) == made


def test_what_was_written_is_read_again(small_matrix: Matrix, tmp_path: Path) -> None:
    written = evidence(small_matrix, Level.STAND_IN, probe(stand_in=True))
    written.write(tmp_path)
    assert Evidence.read(tmp_path, IMAGE_ID) == written


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"image_id": "sha256:other"},
        {"level": "impressive"},
        {"failures": None},
        {"who": "somebody"},
    ],
)
def test_evidence_that_does_not_fit_is_none_whatever_its_seal_says(
    small_matrix: Matrix, tmp_path: Path, change: dict[str, Any]
) -> None:
    path = evidence(small_matrix, Level.STAND_IN, probe(stand_in=True)).write(tmp_path)
    document = {**json.loads(path.read_text()), **change}
    # Sealed again: the seal is not what it fails by.
    path.write_text(json.dumps({**document, SEAL: seal_of(document)}))
    assert Evidence.read(tmp_path, IMAGE_ID) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"tests_passed": 3', '"tests_passed": 4'),
        ('"seal": "sha256:', '"seal": "sha256:0'),
        ('"seal"', '"sail"'),
        ("{", "["),
    ],
)
def test_evidence_that_was_changed_by_hand_is_none(
    small_matrix: Matrix, tmp_path: Path, old: str, new: str
) -> None:
    path = evidence(small_matrix, Level.STAND_IN, probe(stand_in=True)).write(tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert Evidence.read(tmp_path, IMAGE_ID) is None


def test_evidence_from_before_the_flags_were_recorded_is_read_and_called_so(
    small_matrix: Matrix, tmp_path: Path
) -> None:
    found = evidence(small_matrix, Level.GPU, probe(stand_in=False))
    older = {name: value for name, value in found.document.items() if name not in (SEAL, "ran_as")}
    path = evidence_path(tmp_path, IMAGE_ID)
    path.write_text(json.dumps({**older, SEAL: seal_of(older)}))
    assert Evidence.read(tmp_path, IMAGE_ID) == replace(found, ran_as=None)
    said = CliRunner().invoke(main, ["evidence", "verify", str(path)])
    assert "ran as    not recorded (not as deployed: `publish` refuses it)\n" in said.output


def test_the_flags_of_the_container_are_shown_and_sealed(
    small_matrix: Matrix, tmp_path: Path
) -> None:
    path = evidence(small_matrix, Level.GPU, probe(stand_in=False)).write(tmp_path)
    said = CliRunner().invoke(main, ["evidence", "verify", str(path)])
    assert f"  ran as    {AS_DEPLOYED}\n" in said.output
    path.write_text(path.read_text().replace("memlock=-1", "memlock=-2"))
    assert Evidence.read(tmp_path, IMAGE_ID) is None


def test_evidence_is_read_as_programs_write_it_that_know_one_kind_of_number(
    small_matrix: Matrix,
) -> None:
    found = replace(evidence(small_matrix, Level.GPU, probe(stand_in=False)), seconds=8.0)
    text = json.dumps(found.document)
    assert '"seconds": 8.0' in text
    passed_on = json.loads(text.replace('"seconds": 8.0', '"seconds": 8').replace("10.0", "10"))
    assert Evidence.of_document(passed_on) == found
    assert Evidence.of_document({**passed_on, "seconds": 9}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"devices": [{"name": "a"}]},
        {"devices": [942]},
        {"devices": {"gfx": "gfx942"}},
        {"devices": [{"gfx": "gfx\x1b[2J", "name": "a"}]},
        {"runtime": []},
        {"runtime": {"version_text": 7}},
        {"capture": {"verdict": "safe", "bugs": [1]}},
        {"judgement": {"verdict": "fits"}},
        {"decode": {"batches": [{}]}},
        {"decode": {"batches": [{"tokens_per_second": {"eager": "1", "replay": 10**400}}]}},
    ],
    ids=str,
)
def test_what_no_probe_prints_is_no_evidence(
    tmp_path: Path, project_matrix: Matrix, change: dict[str, Any]
) -> None:
    printed = probe(stand_in=False)
    good = evidence(project_matrix, Level.GPU, printed)
    assert Evidence.of_document(good.document) == good
    sealed = {**good.document, "probe": {**printed, **change}}
    assert Evidence.of_document({**sealed, SEAL: seal_of(sealed)}) is None
    for content, found in ((printed, printed), ({**printed, **change}, None), ([printed], None)):
        path = tmp_path / "probe.json"
        path.write_text(json.dumps({"image_id": IMAGE_ID, "found": content}))
        assert read_findings(path, IMAGE_ID) == found


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("passed", 1),
        ("tests_passed", "1"),
        ("tests_failed", -1),
        ("failures", "none"),
        ("seconds", None),
        ("date", "yesterday"),
        ("cell", "a\x1b[2J"),
        ("hip_runtime", 7),
        ("serve", {"sizes": [{"tensor_parallel": 1}]}),
        ("more", 1),
    ],
)
def test_a_field_of_another_type_is_no_evidence(
    project_matrix: Matrix, field: str, value: object
) -> None:
    whole = evidence(project_matrix, Level.STATIC, None).document
    assert Evidence.of_document(whole) is not None
    changed = {**whole, field: value}
    assert Evidence.of_document({**changed, SEAL: seal_of(changed)}) is None
