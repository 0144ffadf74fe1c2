"""What is attached to an image stays, and only what it lacks is attached."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hostile_registry import Image
from made_up_publication import Cosign, There, already_there
from rocm_images.build.targets import Target
from rocm_images.engine.run_flags import AS_DEPLOYED
from rocm_images.errors import RegistryError
from rocm_images.publishing.candidates import Candidate
from rocm_images.publishing.rollback import Back, release_anew
from rocm_images.publishing.rolling_tags import Move
from rocm_images.publishing.transaction import Transaction
from rocm_images.registry.manifest import Manifest
from rocm_images.registry.statements import EVIDENCE, RELEASE, Release
from rocm_images.registry.trust import Signer, Trust
from rocm_images.smoke.evidence import Level


def test_a_statement_that_another_machine_lost_is_attached_again(
    target: Target, tmp_path: Path, there: There
) -> None:
    cosign = there.cosign
    cosign.loses = 2
    transaction, found = already_there(target, tmp_path, there)
    transaction.run([found], move_tags=False)
    image = there.reference(there.tags[target.immutable_tag].digest)
    assert cosign.attached[image, EVIDENCE] == found.evidence.document


def test_statements_that_are_always_lost_end_with_a_sentence(
    target: Target, tmp_path: Path, there: There
) -> None:
    there.cosign.loses = 99
    transaction, found = already_there(target, tmp_path, there)
    with pytest.raises(RegistryError, match="somebody else attests at the same time"):
        transaction.run([found], move_tags=False)


@pytest.mark.parametrize(
    ("theirs", "kept"),
    [
        ({"level": Level.GPU, "ran_as": AS_DEPLOYED}, True),
        ({"level": Level.GPU, "ran_as": None}, False),
        ({"level": Level.GPU, "ran_as": AS_DEPLOYED, "passed": False}, False),
        ({"level": Level.GPU, "ran_as": AS_DEPLOYED, "tests": "0" * 64}, False),
    ],
)
def test_evidence_that_says_more_is_kept(
    target: Target, tmp_path: Path, there: There, theirs: dict[str, Any], kept: bool
) -> None:
    cosign = there.cosign
    transaction, found = already_there(target, tmp_path, there)
    image = there.reference(there.tags[target.immutable_tag].digest)
    more = replace(found.evidence, **theirs)
    cosign.attached[image, EVIDENCE] = more.document
    (done,) = transaction.run([found], move_tags=False).cells
    assert done.evidence == (more if kept else found.evidence)
    assert cosign.attached[image, EVIDENCE] == done.evidence.document


def test_a_rollbacks_date_that_another_machine_lost_is_attached_again() -> None:
    cosign = Cosign()
    cosign.loses = 1
    released = Release(
        repository="sglang-rocm",
        cell="a-cell",
        build_id="0" * 64,
        immutable="v1-000000000000",
        channels={},
    )
    top = Manifest(Image({}).top)
    back = Back("r/sglang-rocm@sha256:0", released, ("v1",))
    trust = Trust(key="cosign.pub")
    release_anew(cosign, trust, Signer("key"), "stable", [back], [Move("v1", None, top)])  # type: ignore[arg-type]
    attached = Release.of_document(cosign.attached[back.reference, RELEASE])
    assert attached is not None
    assert attached.channels["stable"].tags == ("v1",)


def test_what_cannot_be_there_is_not_verified_and_what_is_there_is_verified_at_once(
    all_four: tuple[Transaction, list[Candidate]], there: There
) -> None:
    transaction, found = all_four
    first = transaction.run(found, move_tags=True)
    # All are signed at once. What was attached is read back, all of a kind at once.
    assert len(set(there.cosign.signed)) == 4
    assert there.cosign.calls == {"sign": 1, "attest": 16, "verify-attestation": 4}
    assert all(one.signed for one in first.cells)
    there.cosign.calls.clear()
    again = transaction.run(found, move_tags=True)
    # The SBOM before, as it is what a scanner is asked about, and once more with all kinds.
    assert there.cosign.calls == {"verify": 4, "verify-attestation": 5}
    assert not any(one.signed for one in again.cells)


def test_only_what_an_image_lacks_is_attached(
    all_four: tuple[Transaction, list[Candidate]], there: There
) -> None:
    transaction, found = all_four
    transaction.run(found, move_tags=True)
    image = there.reference(there.tags[found[2].immutable].digest)
    lost = there.cosign.attached.pop((image, EVIDENCE))
    there.cosign.calls.clear()
    done = transaction.run(found, move_tags=True).cells
    # Of what it is to have, evidence, SBOM and release are read back: provenance it has.
    assert [one.signed for one in done] == [False, False, True, False]
    assert there.cosign.calls == {"verify": 4, "attest": 1, "verify-attestation": 5 + 3}
    assert there.cosign.attached[image, EVIDENCE] == lost


def test_a_registry_that_hides_what_is_attached_has_it_attached_again_and_nothing_accepted(
    target: Target, tmp_path: Path, there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    cosign = there.cosign
    transaction, found = already_there(target, tmp_path, there)
    transaction.run([found], move_tags=False)
    monkeypatch.setattr(Cosign, "attachments", lambda *_: set())
    cosign.calls.clear()
    (done,) = transaction.run([found], move_tags=False).cells
    assert done.signed
    # What was attached is read back by cosign, whatever the registry says to others.
    assert cosign.calls == {"sign": 1, "attest": 3, "verify-attestation": 3}
    # And where cosign does not find it there, the publication ends.
    cosign.loses = 99
    with pytest.raises(RegistryError, match="what was attached to it is gone again"):
        transaction.run([found], move_tags=False)


def test_what_is_kept_in_another_repository_is_looked_for_by_cosign(
    target: Target, tmp_path: Path, there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    cosign = there.cosign
    cosign.keeps_elsewhere = True
    transaction, found = already_there(target, tmp_path, there)
    transaction.run([found], move_tags=False)
    monkeypatch.setattr(Cosign, "attachments", lambda *_: set())
    cosign.calls.clear()
    (done,) = transaction.run([found], move_tags=False).cells
    assert not done.signed
    assert cosign.calls == {"verify": 1, "verify-attestation": 5}
