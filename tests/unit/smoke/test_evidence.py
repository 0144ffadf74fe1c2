"""Evidence claims no more than was seen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rocm_images.cli.main import main
from rocm_images.engine.run_flags import AS_DEPLOYED
from rocm_images.errors import EvidenceInvalid
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.smoke.evidence import SEAL, Evidence, Level, evidence_path, seal_of
from rocm_images.smoke.outcome import read_findings
from rocm_images.smoke.verification import verify

IMAGE_ID = "sha256:" + "ab" * 32


EMULATOR = {"path": "/opt/emulation/libhsa-runtime64.so.1", "sha256": "e" * 64, "version": "1"}


def probe(
    *, stand_in: bool, emulator: dict[str, str] | None = None, name: str = "a device"
) -> dict[str, Any]:
    return {
        "runtime": {
            "is_stand_in": stand_in,
            "version_text": "HIP 7.2.53211",
            "sha256": "d" * 64,
            "emulator": emulator,
        },
        "devices": [{"gfx": "gfx942", "name": name}, {"gfx": "gfx942", "name": name}],
        "capture": {"verdict": "unsafe", "bugs": ["A", "B"]},
        "decode": {"batches": [{"tokens_per_second": {"eager": 10.0, "replay": 20.4}}]},
        "judgement": {"all_reduce": "sglang", "verdict": "mitigated"},
    }


def serve(*, passed: bool = True, stand_in: bool = False) -> dict[str, Any]:
    loads = [{"tokens_per_second": rate} for rate in (34.9, 128.8, 250.7)]
    return {
        "exit_code": 0 if passed else 40,
        "runtime": {"is_stand_in": stand_in},
        "versions": {"sglang": "0.5.21"},
        "sizes": [{"tensor_parallel": 8, "passed": passed, "graph": {"loads": loads}}],
    }


def evidence(
    matrix: Matrix,
    device: Level,
    found: dict[str, Any] | None,
    failures: tuple[str, ...] = (),
    served: dict[str, Any] | None = None,
) -> Evidence:
    return Evidence.of(
        cells_of(matrix)[0],
        IMAGE_ID,
        device=device,
        passed=3,
        failures=failures,
        seconds=1.23,
        tests="0" * 64,
        probe=found,
        serve=served,
    )


@pytest.mark.parametrize(
    ("device", "found", "level"),
    [
        (Level.STATIC, None, Level.STATIC),
        (Level.GPU, None, Level.STATIC),
        (Level.GPU, {"devices": []}, Level.STATIC),
        (Level.STAND_IN, probe(stand_in=True), Level.STAND_IN),
        (Level.GPU, probe(stand_in=True), Level.STAND_IN),
        (Level.STAND_IN, probe(stand_in=False), Level.STAND_IN),
        (Level.EMULATED, probe(stand_in=False, emulator=EMULATOR), Level.EMULATED),
        (Level.EMULATED, probe(stand_in=True), Level.STAND_IN),
        # Another emulator than ours, which the probe does not know: the machine has no GPU.
        (Level.EMULATED, probe(stand_in=False), Level.EMULATED),
        (Level.GPU, probe(stand_in=False, emulator=EMULATOR), Level.EMULATED),
        (Level.STAND_IN, probe(stand_in=False, emulator=EMULATOR), Level.STAND_IN),
        (Level.GPU, probe(stand_in=False), Level.GPU),
        # What an image from before there was an emulator says on one.
        (Level.GPU, probe(stand_in=False, name="Emulated GPU: HSA on a CPU"), Level.EMULATED),
        (Level.GPU, {"devices": [{"gfx": "gfx942"}]}, Level.STAND_IN),
    ],
)
def test_the_level_is_what_the_probe_really_ran_on(
    small_matrix: Matrix, device: Level, found: dict[str, Any] | None, level: Level
) -> None:
    assert evidence(small_matrix, device, found).level is level


@pytest.mark.parametrize(
    ("device", "found", "served", "level"),
    [
        (Level.GPU, probe(stand_in=False), serve(), Level.SERVE),
        (Level.GPU, probe(stand_in=False), serve(passed=False), Level.GPU),
        (Level.GPU, probe(stand_in=False), {"not_run": "it gave no result"}, Level.GPU),
        (Level.GPU, probe(stand_in=False), {"exit_code": 0, "sizes": []}, Level.GPU),
        (Level.GPU, probe(stand_in=False), serve(stand_in=True), Level.GPU),
        (Level.GPU, probe(stand_in=True), serve(), Level.STAND_IN),
        (Level.GPU, probe(stand_in=False, emulator=EMULATOR), serve(), Level.EMULATED),
        (Level.STAND_IN, probe(stand_in=False), serve(), Level.STAND_IN),
        (Level.GPU, None, serve(), Level.STATIC),
    ],
)
def test_the_level_serve_takes_a_server_that_passed_on_a_real_gpu(
    small_matrix: Matrix,
    device: Level,
    found: dict[str, Any] | None,
    served: dict[str, Any],
    level: Level,
) -> None:
    assert evidence(small_matrix, device, found, served=served).level is level


def test_the_serve_tier_in_words(small_matrix: Matrix) -> None:
    def words(served: dict[str, Any] | None) -> str:
        return evidence(small_matrix, Level.GPU, probe(stand_in=False), served=served).served

    assert words(serve()) == "sglang 0.5.21: TP 8 passed (35 129 251 tokens/s)"
    assert words(serve(passed=False)) == "sglang 0.5.21: TP 8 FAILED (35 129 251 tokens/s)"
    assert words({"not_run": "no GPU"}) == "not run: no GPU"
    assert words(None) == "-"


def test_a_failed_test_is_no_pass(small_matrix: Matrix) -> None:
    assert evidence(small_matrix, Level.STATIC, None).passed
    assert not evidence(small_matrix, Level.STATIC, None, ("test_x: wrong",)).passed


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


def test_its_words_for_the_table(small_matrix: Matrix) -> None:
    found = evidence(small_matrix, Level.GPU, probe(stand_in=False))
    assert found.devices == "2 x gfx942"
    assert found.capture == "killed (bugs A and B)"
    assert found.judgement == "sglang: mitigated"
    assert found.tokens_per_second == "10 eager, 20 replay"
    nothing = evidence(small_matrix, Level.STATIC, None)
    assert (nothing.devices, nothing.capture, nothing.judgement) == ("none", "-", "-")


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


def test_evidence_counts_for_the_tests_that_passed_up_to_its_level(small_matrix: Matrix) -> None:
    found = evidence(small_matrix, Level.EMULATED, probe(stand_in=False))
    assert found.counts_for(found.tests, Level.EMULATED)
    assert found.counts_for(found.tests, Level.STAND_IN)
    assert not found.counts_for(found.tests, Level.GPU)
    assert not found.counts_for("1" * 64, Level.STATIC)
    assert not replace(found, passed=False).counts_for(found.tests, Level.STATIC)


def test_what_ran_on_a_gpu_counts_in_a_container_as_deployments_get_it(
    small_matrix: Matrix,
) -> None:
    found = evidence(small_matrix, Level.GPU, probe(stand_in=False))
    assert (found.ran_as, found.as_deployed) == (AS_DEPLOYED, True)
    assert found.counts_for(found.tests, Level.GPU)
    for other in (None, f"{AS_DEPLOYED} --ipc host", ""):
        unlike = replace(found, ran_as=other)
        assert not unlike.as_deployed
        assert not unlike.counts_for(found.tests, Level.STATIC)
    emulated = evidence(small_matrix, Level.EMULATED, probe(stand_in=False))
    assert (emulated.ran_as, emulated.as_deployed) == (None, True)


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


def test_evidence_says_whose_runtime_was_measured(small_matrix: Matrix) -> None:
    emulated = evidence(small_matrix, Level.EMULATED, probe(stand_in=False, emulator=EMULATOR))
    assert emulated.measured == "the image's own, sha256 dddddddddddd"
    packaged = replace(emulated, hip_runtime="libamdhip64-7 7.2.4-1~exp2 of Debian")
    assert packaged.measured == "libamdhip64-7 7.2.4-1~exp2 of Debian, sha256 dddddddddddd"
    imitated = evidence(small_matrix, Level.STAND_IN, probe(stand_in=True))
    assert imitated.measured == "our imitation"
    assert evidence(small_matrix, Level.STATIC, None).measured == "-"


def test_a_higher_level_reaches_a_lower_one_and_not_the_other_way() -> None:
    assert Level.GPU.reaches(Level.STAND_IN)
    assert Level.GPU.reaches(Level.GPU)
    assert Level.EMULATED.reaches(Level.STAND_IN)
    assert not Level.EMULATED.reaches(Level.GPU)
    assert not Level.STATIC.reaches(Level.STAND_IN)
    assert [str(level) for level in Level] == ["static", "stand-in", "emulated", "gpu", "serve"]


def test_evidence_of_a_smoke_test_verifies_and_claims_no_more_than_it_holds(
    small_matrix: Matrix, tmp_path: Path
) -> None:
    cells = cells_of(small_matrix)
    written = evidence(small_matrix, Level.GPU, probe(stand_in=False), served=serve())
    assert verify(written.write(tmp_path), cells) == written
    boasting = replace(evidence(small_matrix, Level.GPU, probe(stand_in=True)), level=Level.SERVE)
    with pytest.raises(EvidenceInvalid, match="claims the level serve"):
        verify(boasting.write(tmp_path), cells)
    failed = replace(evidence(small_matrix, Level.STATIC, None, ("test_x: wrong",)), passed=True)
    with pytest.raises(EvidenceInvalid, match="its tests say otherwise"):
        verify(failed.write(tmp_path), cells)


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
