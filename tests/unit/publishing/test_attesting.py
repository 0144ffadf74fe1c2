"""What is signed is what the engine sent, and what is attached to it stays."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up_sbom import bill_of

from hostile_registry import Image
from made_up_catalogue import passed
from rocm_images.build.progress import PlainLines
from rocm_images.build.site import RealSite
from rocm_images.build.targets import Target, targets_of
from rocm_images.engine.images import EngineImage
from rocm_images.engine.run_flags import AS_DEPLOYED
from rocm_images.errors import EngineError, PublishRefused, RegistryError, VerificationFailed
from rocm_images.matrix.schema import Budget, Channel, Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.publishing import sboms
from rocm_images.publishing.candidates import Candidate, Rules, candidates
from rocm_images.publishing.push import Pushed
from rocm_images.publishing.rollback import Back, release_anew
from rocm_images.publishing.rolling_tags import Move
from rocm_images.publishing.transaction import Transaction
from rocm_images.registry.manifest import Manifest
from rocm_images.registry.statements import EVIDENCE, PROVENANCE, RELEASE, Release
from rocm_images.registry.trust import Signer, Trust
from rocm_images.sbom.document import KIND as SBOM
from rocm_images.sbom.made import keep_sbom
from rocm_images.smoke.evidence import Evidence, Level
from rocm_images.smoke.run import tests_digest as digest_of_the_tests

PROJECT = Path(__file__).resolve().parents[3]
PREVIEW = Channel(evidence="static", suffix="-preview", why="w")
_OCI = "application/vnd.oci.image"
LAYER = f"{_OCI}.layer.v1.tar"
ATTACHED = Manifest(Image({}).top)


class There:
    """A registry's repository in memory."""

    name = "sglang-rocm"

    def __init__(self) -> None:
        self.tags: dict[str, Manifest] = {}
        self.content: dict[str, bytes] = {}
        self.cosign = Cosign()
        """What it attached lies here."""

    def __str__(self) -> str:
        return f"r/{self.name}"

    def reference(self, name: str) -> str:
        return f"r/sglang-rocm{'@' if ':' in name else ':'}{name}"

    def manifest(self, name: str) -> Manifest | None:
        digest, _, end = name.partition(".")
        if digest.startswith("sha256-"):
            image = self.reference(digest.replace("-", ":"))
            return ATTACHED if end in self.cosign.attachments(image) else None
        by_digest = {one.digest: one for one in self.tags.values()}
        return self.tags.get(name) or by_digest.get(name)

    def blob(self, digest: str) -> bytes:
        return self.content[digest]

    @property
    def address(self) -> There:
        return self

    is_loopback = True

    def image(self, tag: str, config: bytes, layer: str, size: int = 1) -> Manifest:
        """An image of one layer, under a tag."""
        digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
        self.content[digest] = config
        document = {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": {
                "mediaType": f"{_OCI}.config.v1+json",
                "digest": digest,
                "size": len(config),
            },
            "layers": [
                {
                    "mediaType": f"{_OCI}.layer.v1.tar",
                    "digest": f"sha256:{layer * 64}",
                    "size": size,
                }
            ],
        }
        self.tags[tag] = Manifest(json.dumps(document).encode())
        return self.tags[tag]


class Cosign:
    """A stand-in for cosign: who signed what, and what is attached to it."""

    def __init__(self, *, loses: int = 0, keeps_elsewhere: bool = False) -> None:
        self.signed: list[str] = []
        self.attached: dict[tuple[str, str], Mapping[str, Any]] = {}
        self.loses = loses
        self.keeps_elsewhere = keeps_elsewhere
        self.calls: Counter[str] = Counter()
        """Of the real one, each is a process."""

    def attachments(self, image: str) -> set[str]:
        """How the tags end that it made beside an image."""
        found = {"sig"} if image in self.signed else set()
        return found | {"att" for of, _ in self.attached if of == image}

    def verify(self, image: str, *_: object, **__: object) -> None:
        self.calls["verify"] += 1
        if image not in self.signed:
            raise VerificationFailed(f"{image} has no signature")

    def statements(self, image: str, kind: str, *_: object, **__: object) -> list[Any]:
        self.calls["verify-attestation"] += 1
        if (image, kind) not in self.attached:
            raise VerificationFailed(f"{image} carries no {kind}")
        return [self.attached[image, kind]]

    def statements_of(self, images: Sequence[str], kind: str, _: Trust) -> dict[str, list[Any]]:
        self.calls["verify-attestation"] += 1
        found = {image: self.attached.get((image, kind)) for image in images}
        return {image: [one] if one else [] for image, one in found.items()}

    def sign(self, image: str, _: Signer, *more: str) -> None:
        self.calls["sign"] += 1
        self.signed += (image, *more)

    def attest(self, image: str, kind: str, predicate: Mapping[str, Any], _: Signer) -> None:
        self.calls["attest"] += 1
        self.attached[image, kind] = predicate
        if self.loses:
            # Another machine read what was attached before, and writes it with its own.
            self.loses -= 1
            del self.attached[image, kind]


@pytest.fixture
def target(project_matrix: Matrix) -> Target:
    cells = cells_of(project_matrix)[:1]
    return targets_of(RealSite(), PROJECT / "matrix.yaml", project_matrix, cells)[0]


def configuration(target: Target) -> bytes:
    assert target.inputs is not None
    labels = {
        "rocm-serving-images.build-id": target.inputs.build_id,
        "rocm-serving-images.cell": target.cell.name,
        "org.opencontainers.image.version": target.cell.tags[0],
    }
    config = {"os": "linux", "architecture": "amd64", "config": {"Labels": labels}}
    return json.dumps(config).encode()


def evidence_of(target: Target, image_id: str) -> Evidence:
    return passed(target.cell.name, image_id=image_id, tests=digest_of_the_tests())


@pytest.fixture
def there() -> There:
    return There()


def on_engine(
    target: Target, folder: Path, image_id: str, there: There, cosign: Cosign
) -> tuple[Rules, Target]:
    """What publishes an image that the engine knows by an id, with evidence."""
    evidence_of(target, image_id).write(folder)
    keep_sbom(folder, image_id, bill_of(image_id))
    there.cosign = cosign
    trust = Trust(key="cosign.pub")
    rules = Rules(there, "preview", PREVIEW, folder, cosign, trust)  # type: ignore[arg-type]
    assert target.inputs is not None
    return rules, replace(target, found=EngineImage(image_id, {}, ()))


def test_a_manifest_that_somebody_wrote_around_our_configuration_is_replaced_and_not_signed(
    target: Target, tmp_path: Path, there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older image store knows an image by its configuration alone."""
    config, cosign = configuration(target), Cosign()
    foreign = there.image(target.immutable_tag, config, "f")
    image_id = f"sha256:{hashlib.sha256(config).hexdigest()}"
    rules, given = on_engine(target, tmp_path, image_id, there, cosign)
    (found,) = candidates(rules, [given])
    assert found.to_push

    def push(*_: object) -> Pushed:
        return Pushed(there.image(target.immutable_tag, config, "a").digest, 1)

    monkeypatch.setattr("rocm_images.publishing.transaction.push", push)
    monkeypatch.setattr("rocm_images.publishing.transaction.moves", lambda *_: [])
    monkeypatch.setattr("rocm_images.publishing.transaction.move_all", lambda *_: [])
    transaction = Transaction(rules, object(), Signer("key"), PlainLines())  # type: ignore[arg-type]
    (done,) = transaction.run([found], move_tags=True).cells
    assert cosign.signed == [done.image.reference]
    assert foreign.digest not in done.image.reference

    # Now it is signed, and there, and sent no more.
    (again,) = candidates(rules, [given])
    assert not again.to_push


@pytest.mark.parametrize(("size", "within"), [(500_000_000, True), (500_000_001, False)])
def test_what_is_over_the_budget_is_signed_as_push_does_and_neither_released_nor_tagged(
    target: Target,
    tmp_path: Path,
    there: There,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    within: bool,
) -> None:
    config, cosign = configuration(target), Cosign()
    image_id = f"sha256:{hashlib.sha256(config).hexdigest()}"
    rules, given = on_engine(target, tmp_path, image_id, there, cosign)
    budget = Budget(compressed="500 MB")
    rules = replace(rules, channel=rules.channel.model_copy(update={"budget": budget}))
    (found,) = candidates(rules, [given])
    moved: list[str] = []

    def push(*_: object) -> Pushed:
        return Pushed(there.image(target.immutable_tag, config, "a", size).digest, 1)

    def move(*_: object) -> list[Move]:
        moved.append("all")
        return []

    monkeypatch.setattr("rocm_images.publishing.transaction.push", push)
    monkeypatch.setattr("rocm_images.publishing.transaction.moves", lambda *_: [])
    monkeypatch.setattr("rocm_images.publishing.transaction.move_all", move)
    transaction = Transaction(rules, object(), Signer("key"), PlainLines())  # type: ignore[arg-type]
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


def test_an_engine_that_does_not_say_what_it_sent_signs_nothing_else_than_its_id(
    target: Target, tmp_path: Path, there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, cosign = configuration(target), Cosign()
    image_id = f"sha256:{hashlib.sha256(config).hexdigest()}"
    rules, given = on_engine(target, tmp_path, image_id, there, cosign)
    (found,) = candidates(rules, [given])

    def push(*_: object) -> Pushed:
        there.image(target.immutable_tag, config, "a")
        return Pushed("", 1)

    monkeypatch.setattr("rocm_images.publishing.transaction.push", push)
    transaction = Transaction(rules, object(), Signer("key"), PlainLines())  # type: ignore[arg-type]
    with pytest.raises(VerificationFailed, match="is not what was tested"):
        transaction.run([found], move_tags=False)
    assert cosign.signed == []


def published(
    target: Target, folder: Path, there: There, cosign: Cosign
) -> tuple[Transaction, Candidate]:
    """An image that the registry has already, as the engine has it."""
    manifest = there.image(target.immutable_tag, configuration(target), "a")
    rules, given = on_engine(target, folder, manifest.digest, there, cosign)
    (found,) = candidates(rules, [given])
    return Transaction(rules, None, Signer("key"), PlainLines()), found


def test_a_statement_that_another_machine_lost_is_attached_again(
    target: Target, tmp_path: Path, there: There
) -> None:
    cosign = Cosign(loses=2)
    transaction, found = published(target, tmp_path, there, cosign)
    transaction.run([found], move_tags=False)
    image = there.reference(there.tags[target.immutable_tag].digest)
    assert cosign.attached[image, EVIDENCE] == found.evidence.document


def test_statements_that_are_always_lost_end_with_a_sentence(
    target: Target, tmp_path: Path, there: There
) -> None:
    transaction, found = published(target, tmp_path, there, Cosign(loses=99))
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
    cosign = Cosign()
    transaction, found = published(target, tmp_path, there, cosign)
    image = there.reference(there.tags[target.immutable_tag].digest)
    more = replace(found.evidence, **theirs)
    cosign.attached[image, EVIDENCE] = more.document
    (done,) = transaction.run([found], move_tags=False).cells
    assert done.evidence == (more if kept else found.evidence)
    assert cosign.attached[image, EVIDENCE] == done.evidence.document


def test_a_rollbacks_date_that_another_machine_lost_is_attached_again() -> None:
    cosign = Cosign(loses=1)
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


@pytest.fixture
def all_four(
    project_matrix: Matrix, tmp_path: Path, there: There, monkeypatch: pytest.MonkeyPatch
) -> tuple[Transaction, list[Candidate]]:
    """Four images that a registry has, with nothing attached, and who publishes them."""
    cells = cells_of(project_matrix)[:4]
    cosign, given = Cosign(), []
    for one in targets_of(RealSite(), PROJECT / "matrix.yaml", project_matrix, cells):
        manifest = there.image(one.immutable_tag, configuration(one), "a")
        rules, found = on_engine(one, tmp_path, manifest.digest, there, cosign)
        given.append(found)
    monkeypatch.setattr("rocm_images.publishing.transaction.moves", lambda *_: [])
    monkeypatch.setattr("rocm_images.publishing.transaction.move_all", lambda *_: [])
    return Transaction(rules, None, Signer("key"), PlainLines()), candidates(rules, given)


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
    all_four: tuple[Transaction, list[Candidate]], monkeypatch: pytest.MonkeyPatch
) -> None:
    transaction, found = all_four
    moved: list[str] = []

    def refuse(*_: object) -> None:
        raise RegistryError("the registry takes no signature")

    monkeypatch.setattr(Cosign, "sign", refuse)
    monkeypatch.setattr(
        "rocm_images.publishing.transaction.move_all", lambda *_: moved.append("all")
    )
    with pytest.raises(RegistryError, match="takes no signature"):
        transaction.run(found, move_tags=True)
    assert moved == []


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
    cosign = Cosign()
    transaction, found = published(target, tmp_path, there, cosign)
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
    cosign = Cosign(keeps_elsewhere=True)
    transaction, found = published(target, tmp_path, there, cosign)
    transaction.run([found], move_tags=False)
    monkeypatch.setattr(Cosign, "attachments", lambda *_: set())
    cosign.calls.clear()
    (done,) = transaction.run([found], move_tags=False).cells
    assert not done.signed
    assert cosign.calls == {"verify": 1, "verify-attestation": 5}


def test_without_a_key_a_bill_larger_than_a_public_log_takes_is_refused_before_anything_is_signed(
    target: Target, tmp_path: Path, there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    cosign = Cosign()
    transaction, found = published(target, tmp_path, there, cosign)
    assert found.on_engine is not None
    bill = bill_of(found.on_engine.image_id)
    large = len(json.dumps(bill).encode())
    monkeypatch.setattr(sboms, "MOST_KEYLESS", large - 1)
    keyless = replace(transaction, signer=Signer(None))
    with pytest.raises(PublishRefused, match="sign with a key"):
        keyless.run([found], move_tags=False)
    assert (cosign.signed, cosign.attached) == ([], {})
    # With a key nothing goes into a log, and what is just small enough does.
    transaction.run([found], move_tags=False)
    image = there.reference(there.tags[target.immutable_tag].digest)
    assert cosign.attached.pop((image, SBOM)) == bill
    monkeypatch.setattr(sboms, "MOST_KEYLESS", large)
    keyless.run([found], move_tags=False)
    assert cosign.attached[image, SBOM] == bill


def test_a_bill_that_is_attested_already_is_kept_and_one_of_another_image_ends_it(
    target: Target, tmp_path: Path, there: There
) -> None:
    cosign = Cosign()
    transaction, found = published(target, tmp_path, there, cosign)
    transaction.run([found], move_tags=False)
    image = there.reference(there.tags[target.immutable_tag].digest)
    older = {**cosign.attached[image, SBOM], "version": 7}
    cosign.attached[image, SBOM] = older
    transaction.run([found], move_tags=False)
    assert cosign.attached[image, SBOM] == older
    cosign.attached[image, SBOM] = bill_of("sha256:" + "b" * 64)
    with pytest.raises(VerificationFailed, match="is of another image"):
        transaction.run([found], move_tags=False)


def test_a_file_that_is_no_bill_of_the_image_is_not_signed_and_made_again(
    target: Target, tmp_path: Path, there: There
) -> None:
    cosign = Cosign()
    transaction, found = published(target, tmp_path, there, cosign)
    assert found.on_engine is not None
    other = "sha256:" + "b" * 64
    keep_sbom(tmp_path, found.on_engine.image_id, bill_of(other))
    with pytest.raises(EngineError, match="nothing can list what it holds"):
        transaction.run([found], move_tags=False)
    # Nor that of another image, which the engine has.
    keep_sbom(tmp_path, other, bill_of(other))
    elsewhere = replace(found.target, found=EngineImage(other, {}, ()))
    with pytest.raises(PublishRefused, match="is not the engine's"):
        transaction.run([replace(found, target=elsewhere)], move_tags=False)
    assert cosign.signed == []
