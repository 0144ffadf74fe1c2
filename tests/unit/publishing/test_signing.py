"""What is signed is what the engine sent, and nothing before all of it may be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from made_up_publication import Cosign, There, configuration, id_of, on_engine
from rocm_images.build.progress import PlainLines
from rocm_images.build.targets import Target
from rocm_images.errors import PublishRefused, RegistryError, VerificationFailed
from rocm_images.matrix.schema import Budget
from rocm_images.publishing.candidates import Candidate, candidates
from rocm_images.publishing.push import Pushed
from rocm_images.publishing.transaction import Transaction
from rocm_images.registry.statements import EVIDENCE, PROVENANCE, RELEASE
from rocm_images.registry.trust import Signer
from rocm_images.sbom.document import KIND as SBOM
from rocm_images.smoke.evidence import evidence_path


class Sending:
    """An image that an engine knows by its configuration alone, and sends when it is published."""

    def __init__(self, target: Target, folder: Path, there: There) -> None:
        self.target, self.there = target, there
        self.config = configuration(target)
        self.rules, self.given = on_engine(target, folder, id_of(self.config), there)
        self.size = 1
        self.says_what = True
        """Whether the engine says the digest of what it sent."""

    @property
    def found(self) -> Candidate:
        (found,) = candidates(self.rules, [self.given])
        return found

    @property
    def transaction(self) -> Transaction:
        return Transaction(self.rules, object(), Signer("key"), PlainLines())  # type: ignore[arg-type]

    def push(self, *_: object) -> Pushed:
        sent = self.there.image(self.target.immutable_tag, self.config, "a", self.size)
        return Pushed(sent.digest if self.says_what else "", 1)


@pytest.fixture
def sending(
    target: Target, tmp_path: Path, there: There, monkeypatch: pytest.MonkeyPatch
) -> Sending:
    made = Sending(target, tmp_path, there)
    monkeypatch.setattr("rocm_images.publishing.transaction.push", made.push)
    return made


def test_a_manifest_that_somebody_wrote_around_our_configuration_is_replaced_and_not_signed(
    sending: Sending, target: Target, there: There, moved: list[str]
) -> None:
    foreign = there.image(target.immutable_tag, sending.config, "f")
    found = sending.found
    assert found.to_push
    (done,) = sending.transaction.run([found], move_tags=True).cells
    assert there.cosign.signed == [done.image.reference]
    assert foreign.digest not in done.image.reference
    # Now it is signed, and there, and sent no more.
    assert not sending.found.to_push


@pytest.mark.parametrize(("size", "within"), [(500_000_000, True), (500_000_001, False)])
def test_what_is_over_the_budget_is_signed_as_push_does_and_neither_released_nor_tagged(
    sending: Sending, there: There, moved: list[str], size: int, within: bool
) -> None:
    sending.size, cosign = size, there.cosign
    budget = {"budget": Budget(compressed="500 MB")}
    channel = sending.rules.channel.model_copy(update=budget)
    sending.rules = replace(sending.rules, channel=channel)
    found, transaction = sending.found, sending.transaction
    if within:
        transaction.run([found], move_tags=True)
    else:
        with pytest.raises(PublishRefused, match="nothing was released and no tag moved"):
            transaction.run([found], move_tags=True)
    kinds = {kind for _, kind in cosign.attached}
    assert (RELEASE in kinds, bool(moved)) == (within, within)
    # Whoever builds elsewhere finds no immutable tag that nobody signed.
    assert len(cosign.signed) == 1
    assert kinds >= {EVIDENCE, PROVENANCE, SBOM}
    written = dict(cosign.attached)
    transaction.run([found], move_tags=False)
    assert (len(cosign.signed), cosign.attached) == (1, written)


def test_an_image_of_the_engine_without_evidence_here_counts_by_what_the_registry_verifies(
    sending: Sending, there: There, moved: list[str]
) -> None:
    """As in a CI where the job that publishes has none of the files of the one that tested."""
    sending.transaction.run([sending.found], move_tags=False)
    assert sending.given.found is not None
    evidence_path(sending.rules.evidence_folder, sending.given.found.image_id).unlink()
    found = sending.found
    assert (found.on_engine, found.to_push) == (None, False)
    sending.transaction.run([found], move_tags=True)
    assert moved == ["all"]
    # What is attached by nobody who is trusted is none.
    for kind in (EVIDENCE, RELEASE):
        there.cosign.attached.pop((there.cosign.signed[0], kind))
    with pytest.raises(PublishRefused, match="no evidence for image"):
        _ = sending.found


def test_an_engine_that_does_not_say_what_it_sent_signs_nothing_else_than_its_id(
    sending: Sending, there: There
) -> None:
    sending.says_what = False
    with pytest.raises(VerificationFailed, match="is not what was tested"):
        sending.transaction.run([sending.found], move_tags=False)
    assert there.cosign.signed == []


def test_only_an_image_that_is_not_signed_is_signed(
    all_four: tuple[Transaction, list[Candidate]], there: There
) -> None:
    transaction, found = all_four
    transaction.run(found, move_tags=True)
    lost = there.cosign.signed.pop(1)
    there.cosign.signed.append(f"{lost} by somebody else")
    there.cosign.calls.clear()
    done = transaction.run(found, move_tags=True).cells
    assert [one.signed for one in done].count(True) == 1
    assert [one.image.reference for one in done if one.signed] == [lost]
    assert there.cosign.calls == {"sign": 1, "verify": 3, "verify-attestation": 5}


def test_where_signing_fails_no_tag_moves(
    all_four: tuple[Transaction, list[Candidate]],
    moved: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transaction, found = all_four

    def refuse(*_: object) -> None:
        raise RegistryError("the registry takes no signature")

    monkeypatch.setattr(Cosign, "sign", refuse)
    with pytest.raises(RegistryError, match="takes no signature"):
        transaction.run(found, move_tags=True)
    assert moved == []
