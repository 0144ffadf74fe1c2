"""What is to be published: each cell's image, on the engine or already in the registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rocm_images.build.targets import Target
from rocm_images.engine.images import EngineImage
from rocm_images.errors import PublishRefused, VerificationFailed
from rocm_images.matrix.schema import Channel
from rocm_images.plan.cells import Cell
from rocm_images.publishing.gate import check_stand_in, refusal
from rocm_images.publishing.statements import EVIDENCE, evidence_among
from rocm_images.references import tag_of
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign, Trust
from rocm_images.registry.published import PublishedImage, check_label, image_at
from rocm_images.smoke.evidence import Evidence
from rocm_images.smoke.run import tests_digest
from rocm_images.threads import Threads

AT_ONCE = 4


@dataclass(frozen=True)
class Candidate:
    """One image that may be published."""

    cell: Cell
    immutable: str
    """Its immutable tag."""
    rolling: tuple[str, ...]
    """The rolling tags that the channel moves to it."""
    evidence: Evidence
    on_engine: EngineImage | None
    published: PublishedImage | None
    """The image as the registry has it, where it has it already."""

    @property
    def to_push(self) -> bool:
        """Whether the registry lacks it."""
        return self.published is None


@dataclass(frozen=True)
class Rules:
    """Where candidates are published to and what is asked of them."""

    repository: Repository
    channel_name: str
    channel: Channel
    evidence_folder: Path
    cosign: Cosign
    trust: Trust | None
    """Whose evidence counts where only the registry has an image."""


def candidates(rules: Rules, given: Sequence[Target]) -> list[Candidate]:
    """The candidates of all cells; nothing has been written anywhere.

    Raises:
        PublishRefused: a cell may not be published; it names every one and how that can change.
        RegistryError: the registry does not answer.
    """
    with Threads(AT_ONCE) as pool:
        found = list(pool.map(lambda cell: _candidate(rules, cell), given))
    refusals = [one for one in found if isinstance(one, str)]
    if refusals:
        raise PublishRefused("nothing was published:\n  " + "\n  ".join(refusals))
    return [one for one in found if isinstance(one, Candidate)]


def _candidate(rules: Rules, given: Target) -> Candidate | str:
    """The candidate of one cell, or why there is none."""
    immutable = given.immutable_tag
    try:
        if given.found is not None:
            # Before anything is asked of a registry that must not have it.
            address = rules.repository.address
            check_stand_in(given.cell.name, given.found.labels, address, None)
        published = image_at(rules.repository, immutable)
        if given.found is not None:
            evidence = _of_engine(rules, given, given.found, published)
        elif published is not None:
            evidence = _of_registry(rules, given, published, immutable)
        else:
            return (
                f"{given.cell.name}: neither the engine nor {rules.repository} has it: run "
                f"`python build.py {given.cell.words}`"
            )
    except (PublishRefused, VerificationFailed) as error:
        return str(error)
    rolling = [tag_of(name) + rules.channel.suffix for name in given.rolling]
    return Candidate(given.cell, immutable, tuple(rolling), evidence, given.found, published)


def _of_engine(
    rules: Rules, given: Target, found: EngineImage, published: PublishedImage | None
) -> Evidence:
    """The evidence of an image that the engine has."""
    if published is not None and found.image_id not in published.ids:
        raise PublishRefused(
            f"{given.cell.name}: {published.reference} already has the tag "
            f"{given.immutable_tag}, with another digest than the engine's "
            f"{found.image_id}: an immutable tag is never overwritten. Remove the engine's image "
            "and take the published one (--pull-existing)"
        )
    evidence = Evidence.read(rules.evidence_folder, found.image_id)
    reason = refusal(
        given.cell,
        found.image_id,
        evidence,
        rules.channel_name,
        rules.channel,
        tests=tests_digest(),
    )
    if reason:
        raise PublishRefused(reason)
    assert evidence is not None
    check_stand_in(given.cell.name, found.labels, rules.repository.address, evidence)
    return evidence


def _of_registry(
    rules: Rules, given: Target, published: PublishedImage, immutable: str
) -> Evidence:
    """The evidence of an image that only the registry has, once its signature is verified."""
    if rules.trust is None:
        raise PublishRefused(
            f"{given.cell.name}: only the registry has it: say whose evidence counts, with "
            "--identity and --issuer"
        )
    check_label(published, immutable)
    evidence = verified_evidence(rules.cosign, published, rules.trust)
    reason = refusal(given.cell, published.digest, evidence, rules.channel_name, rules.channel)
    if reason:
        raise PublishRefused(reason)
    check_stand_in(given.cell.name, published.labels, rules.repository.address, evidence)
    return evidence


def verified_evidence(cosign: Cosign, published: PublishedImage, trust: Trust) -> Evidence:
    """The evidence that is attached to a published image, after its signature was verified.

    Raises:
        VerificationFailed: no signature or evidence that is trusted, or about another image.
        RegistryError: the registry does not answer.
    """
    cosign.verify(published.reference, trust)
    statements = cosign.statements(published.reference, EVIDENCE, trust)
    return evidence_among(statements, published.reference, published.ids)
