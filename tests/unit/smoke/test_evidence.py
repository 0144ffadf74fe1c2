"""Evidence claims no more than was seen, in its level and in its words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from made_up_evidence import EMULATOR, evidence, probe, serve
from rocm_images.engine.run_flags import AS_DEPLOYED
from rocm_images.errors import EvidenceInvalid
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.smoke.evidence import Level
from rocm_images.smoke.verification import verify


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


def test_its_words_for_the_table(small_matrix: Matrix) -> None:
    found = evidence(small_matrix, Level.GPU, probe(stand_in=False))
    assert found.devices == "2 x gfx942"
    assert found.capture == "killed (bugs A and B)"
    assert found.judgement == "sglang: mitigated"
    assert found.tokens_per_second == "10 eager, 20 replay"
    nothing = evidence(small_matrix, Level.STATIC, None)
    assert (nothing.devices, nothing.capture, nothing.judgement) == ("none", "-", "-")


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
