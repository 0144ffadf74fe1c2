"""What may be published where, and what a published image must agree with."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hostile_registry import IMAGES, Image, digest
from rocm_images.engine.run_flags import AS_DEPLOYED
from rocm_images.errors import InputError, PublishRefused, RegistryError, VerificationFailed
from rocm_images.matrix.schema import Channel, Matrix
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.plan.selection import cell_named
from rocm_images.publishing.gate import channel_named, check_stand_in, refusal
from rocm_images.publishing.rolling_tags import Move, move_all
from rocm_images.recipe.labels import IMITATION, STAND_IN
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.manifest import Manifest
from rocm_images.registry.published import image_at
from rocm_images.registry.statements import evidence_among
from rocm_images.registry.trust import Trust, trust_of
from rocm_images.smoke.evidence import Evidence, Level

BUILD_ID = "4b916ad5c63d" + "0" * 52
IMAGE = f"sha256:{'a' * 64}"


@pytest.fixture
def cell(project_matrix: Matrix) -> Cell:
    return cell_named(cells_of(project_matrix), "sglang-942-rocm7.2.2")


@pytest.fixture
def evidence(cell: Cell) -> Evidence:
    return Evidence.of(
        cell, IMAGE, device=Level.STATIC, passed=3, failures=(), seconds=1.0, tests="t", probe=None
    )


STABLE = Channel(evidence="gpu", why="w")
PREVIEW = Channel(evidence="static", suffix="-preview", why="w")


def test_a_channel_takes_what_was_tested_on_enough(cell: Cell, evidence: Evidence) -> None:
    assert refusal(cell, IMAGE, evidence, "preview", PREVIEW, tests="t") is None
    gpu = replace(evidence, level=Level.GPU, ran_as=AS_DEPLOYED)
    assert refusal(cell, IMAGE, gpu, "stable", STABLE, tests="t") is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"level": Level.STAND_IN}, "requires evidence of level gpu, and image aaaaaaaaaaaa has"),
        ({"passed": False}, "failed its smoke test"),
        ({"tests": "others"}, "passed other tests than these"),
        (
            {"ran_as": None},
            "by an older version, which did not record with which flags, and images",
        ),
        ({"ran_as": f"{AS_DEPLOYED} --ipc host"}, "--ipc host`, and images are deployed with `doc"),
        ({"ran_as": "--privileged", "level": Level.SERVE}, "on a GPU with `docker run --privi"),
    ],
)
def test_a_refusal_says_why_and_how_that_can_change(
    cell: Cell, evidence: Evidence, change: dict[str, Any], sentence: str
) -> None:
    weak = replace(evidence, **{"level": Level.GPU, "ran_as": AS_DEPLOYED, **change})
    reason = refusal(cell, IMAGE, weak, "stable", STABLE, tests="t")
    assert reason is not None
    assert reason.startswith("sglang-942-rocm7.2.2: ")
    assert sentence in reason
    assert (
        "build.py smoke --server sglang --arch 942 --base 7.2.2` on a machine with AMD Instinct "
        "MI300X" in reason
    )


def test_a_channel_for_emulated_gpus_takes_that_and_no_less(cell: Cell, evidence: Evidence) -> None:
    emulated = Channel(evidence="emulated", suffix="-preview", why="w")
    for level in (Level.EMULATED, Level.GPU):
        enough = replace(evidence, level=level, ran_as=AS_DEPLOYED)
        assert refusal(cell, IMAGE, enough, "preview", emulated) is None
    for level in (Level.STATIC, Level.STAND_IN):
        reason = refusal(cell, IMAGE, replace(evidence, level=level), "preview", emulated)
        assert reason is not None
        assert f"requires evidence of level emulated, and image aaaaaaaaaaaa has {level}" in reason
        assert "docs/emulation.md" in reason


def test_a_rehearsal_on_the_imitation_needs_no_more_than_that(
    cell: Cell, evidence: Evidence
) -> None:
    emulated = Channel(evidence="emulated", suffix="-preview", why="w")
    imitated = replace(evidence, level=Level.STAND_IN, hip_runtime=IMITATION)
    assert refusal(cell, IMAGE, imitated, "preview", emulated) is None
    assert refusal(cell, IMAGE, imitated, "stable", STABLE) is not None
    untested = replace(imitated, level=Level.STATIC)
    assert refusal(cell, IMAGE, untested, "preview", emulated) is not None


def test_no_evidence_is_no_publication(cell: Cell) -> None:
    reason = refusal(cell, IMAGE, None, "preview", PREVIEW)
    assert reason is not None
    assert "no evidence for image aaaaaaaaaaaa: run `python build.py smoke" in reason


def test_an_unknown_channel_is_named_with_the_nearest(project_matrix: Matrix) -> None:
    assert channel_named(project_matrix, "stable").evidence == "gpu"
    with pytest.raises(InputError, match=r"no channel 'stabel'.*stable"):
        channel_named(project_matrix, "stabel")


@pytest.mark.parametrize("required", ["gpu", "serve", "emulated"])
@pytest.mark.parametrize("runtime", [None, "libamdhip64-7 7.2.4", IMITATION])
def test_a_rehearsed_image_is_sent_to_a_channel_and_not_to_a_gpu(
    required: str, runtime: str | None, cell: Cell, evidence: Evidence
) -> None:
    tested = replace(evidence, level=Level.STATIC, hip_runtime=runtime)
    reason = refusal(
        cell, IMAGE, tested, "c", Channel.model_validate({"evidence": required, "why": "w"})
    )
    rehearsed = runtime is not None and required != "emulated"
    assert reason
    assert ("(`--channel preview`)" in reason) is rehearsed
    assert ("build.py smoke" in reason) is not rehearsed


@pytest.mark.parametrize("registry", ["registry.example.org", "10.0.0.1:5000"])
def test_a_stand_in_leaves_this_machine_neither_by_label_nor_by_evidence(
    registry: str, evidence: Evidence
) -> None:
    there = RegistryAddress.parse(registry)
    with pytest.raises(PublishRefused, match="is a rehearsal"):
        check_stand_in("it", {STAND_IN: "base"}, there, evidence)
    with pytest.raises(PublishRefused, match="is a rehearsal"):
        check_stand_in("it", {}, there, replace(evidence, level=Level.STAND_IN))
    check_stand_in("it", {}, there, evidence)
    check_stand_in("it", {STAND_IN: "base"}, RegistryAddress.parse("localhost:5000"), evidence)


def test_evidence_counts_for_the_image_that_it_names(evidence: Evidence) -> None:
    other = replace(evidence, image_id=f"sha256:{'b' * 64}")
    documents = [other.document, evidence.document]
    # As it comes back from a registry.
    documents = json.loads(json.dumps(documents))
    assert evidence_among(documents, "it", frozenset({IMAGE})) == evidence
    # An older one of ours that somebody put back does not count beside a newer one.
    older = replace(evidence, passed=False, date="2020-01-01T00:00:00+00:00")
    for both in ([older.document, evidence.document], [evidence.document, older.document]):
        assert evidence_among(both, "it", frozenset({IMAGE})) == evidence
    with pytest.raises(VerificationFailed, match="is about another image"):
        evidence_among(documents[:1], "it", frozenset({IMAGE}))
    with pytest.raises(VerificationFailed, match="cannot be read"):
        evidence_among([{"schema": 999}], "it", frozenset({IMAGE}))


class Layers:
    """Manifests and blobs in memory, by digest."""

    def __init__(self, labels: dict[str, str] | None = None) -> None:
        self.image = Image(labels)

    def reference(self, tag_or_digest: str) -> str:
        return f"it@{tag_or_digest}"

    def manifest(self, tag_or_digest: str) -> Manifest | None:
        found = self.image.manifests.get(tag_or_digest)
        return Manifest(found) if found is not None else None

    def blob(self, digest: str) -> bytes:
        if digest not in self.image.blobs:
            raise RegistryError(f"{self.reference(digest)}: no such blob")
        return self.image.blobs[digest]


def test_an_image_is_known_by_its_index_its_manifest_and_its_configuration() -> None:
    layers = Layers({"a": "b"})
    entry = layers.image.entry()
    layers.image.index(layers.image.attestation(entry["digest"]), entry)
    manifest, config = entry["digest"], layers.image.document["config"]["digest"]
    index = digest(layers.image.top)
    found = image_at(layers, index)
    assert found is not None
    assert found.ids == {index, manifest, config}
    assert (found.digest, found.labels) == (index, {"a": "b"})
    alone = image_at(layers, manifest)
    assert alone is not None
    assert alone.ids == {manifest, config}
    assert image_at(layers, "sha256:none") is None


@pytest.mark.parametrize("misbehaviour", IMAGES)
def test_what_is_no_image_is_refused_with_a_sentence(misbehaviour: str) -> None:
    layers = Layers()
    IMAGES[misbehaviour](layers.image)
    with pytest.raises((RegistryError, VerificationFailed), match=r"^it@sha256:"):
        image_at(layers, digest(layers.image.top))


class Tags:
    """A repository's tags in memory, of which some cannot be written."""

    def __init__(self, tags: dict[str, Manifest], broken: dict[str, int]) -> None:
        self.tags = tags
        self.broken = broken

    def put_tag(self, tag: str, manifest: Manifest) -> None:
        if self.broken.get(tag, 99) <= 0:
            raise RegistryError(f"cannot write {tag}")
        self.broken[tag] = self.broken.get(tag, 99) - 1
        self.tags[tag] = manifest

    def digest_of(self, tag: str) -> str:
        return self.tags[tag].digest

    def reference(self, tag: str) -> str:
        return tag


OLD, NEW = Manifest(Image({"a": "old"}).top), Manifest(Image({"a": "new"}).top)


def test_tags_move_all_or_none() -> None:
    moves = [Move("a", OLD, NEW), Move("b", NEW, NEW), Move("c", None, NEW), Move("d", OLD, NEW)]
    good = Tags({"a": OLD, "b": NEW, "d": OLD}, {})
    assert [move.tag for move in move_all(good, moves)] == ["a", "c", "d"]  # type: ignore[arg-type]
    assert {manifest.digest for manifest in good.tags.values()} == {NEW.digest}

    broken = Tags({"a": OLD, "b": NEW, "d": OLD}, {"d": 0})
    with pytest.raises(RegistryError, match="every rolling tag is where it was"):
        move_all(broken, moves)  # type: ignore[arg-type]
    assert (broken.tags["a"], broken.tags["d"]) == (OLD, OLD)


def test_tags_that_cannot_be_moved_back_are_named_as_mixed() -> None:
    broken = Tags({"a": OLD, "d": OLD}, {"a": 1, "d": 0})
    with pytest.raises(RegistryError, match=r"\(a\) could not be moved back.*are mixed until"):
        move_all(broken, [Move("a", OLD, NEW), Move("d", OLD, NEW)])  # type: ignore[arg-type]


def test_somebody_else_who_publishes_at_the_same_time_is_noticed() -> None:
    class Contested(Tags):
        def digest_of(self, _: str) -> str:
            return OLD.digest

    with pytest.raises(RegistryError, match="somebody else publishes at the same time"):
        move_all(Contested({"a": OLD}, {}), [Move("a", OLD, NEW)])  # type: ignore[arg-type]


def test_trust_is_a_key_or_an_identity_with_its_issuer(tmp_path: Any) -> None:
    key = tmp_path / "cosign.pub"
    key.write_text("a key")
    assert trust_of(str(key), None, None) == Trust(key=str(key))
    assert trust_of(None, "https://ci/.*", "https://issuer").arguments == [
        "--certificate-identity-regexp=^(?:https://ci/.*)$",
        "--certificate-oidc-issuer=https://issuer",
    ]
    half, both = (None, "i", None), (str(key), "i", "j")
    for given in ((None, None, None), half, both, ("none", None, None)):
        with pytest.raises(InputError):
            trust_of(*given)
