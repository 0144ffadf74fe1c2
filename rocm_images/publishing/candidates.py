"""What is to be published: each cell's image, on the engine or already in the registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rocm_images.build.targets import Target, verified_as
from rocm_images.engine.images import EngineImage
from rocm_images.errors import PublishRefused, VerificationFailed
from rocm_images.matrix.schema import Channel
from rocm_images.plan.cells import Cell
from rocm_images.pool import Threads
from rocm_images.publishing.gate import check_stand_in, refusal
from rocm_images.references import tag_of
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.published import PublishedImage, image_at
from rocm_images.registry.trust import Trust
from rocm_images.registry.verified import verified
from rocm_images.smoke.evidence import Evidence
from rocm_images.smoke.run import tests_digest

AT_ONCE = 4


@dataclass(frozen=True)
class Candidate:
    """One image that may be published."""

    target: Target
    """With the image that the engine has, where it has it."""
    immutable: str
    """Its immutable tag."""
    rolling: tuple[str, ...]
    """The rolling tags that the channel moves to it."""
    evidence: Evidence
    published: PublishedImage | None
    """The image as the registry has it, where it has it already."""

    @property
    def cell(self) -> Cell:
        """Its cell."""
        return self.target.cell

    @property
    def on_engine(self) -> EngineImage | None:
        """The image as the engine has it; None where only the registry has it, verified."""
        return self.target.found

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
            published = _there(rules, given, given.found, published)
        evidence = _of_another_machine(rules, given, published)
        if evidence is not None:
            given = replace(given, found=None)
        elif given.found is not None:
            evidence = _of_engine(rules, given, given.found)
        elif published is not None:
            evidence = _of_registry(rules, given, published)
        else:
            return (
                f"{given.cell.name}: neither the engine nor {rules.repository} has it: run "
                f"`python build.py {given.cell.words}`"
            )
    except (PublishRefused, VerificationFailed) as error:
        return str(error)
    rolling = [tag_of(name) + rules.channel.suffix for name in given.rolling]
    return Candidate(given, immutable, tuple(rolling), evidence, published)


def _there(
    rules: Rules, given: Target, found: EngineImage, published: PublishedImage | None
) -> PublishedImage | None:
    """The engine's image as the registry has it; None where it has to be pushed, again maybe.

    The containerd image store knows an image by its manifest, and then the digest says all. The
    older store knows it by its configuration, which anybody can write a manifest around: that one
    counts when it is signed, and is else replaced by the engine's own.
    """
    if published is None or found.image_id == published.digest:
        return published
    if found.image_id not in published.ids:
        raise PublishRefused(
            f"{given.cell.name}: {published.reference} already has the tag "
            f"{given.immutable_tag}, and is not the engine's {found.image_id}: an immutable tag is "
            "never overwritten. If the one there is yours, remove the engine's image and take "
            "that one (`build --pull-existing`); else somebody put it there, who must not push"
        )
    try:
        if rules.trust is not None:
            verified(rules.cosign, published, rules.trust)
            return published
    except VerificationFailed:
        pass
    return None


def _of_another_machine(
    rules: Rules, given: Target, published: PublishedImage | None
) -> Evidence | None:
    """The registry's evidence of the engine's image, verified, where this machine has none.

    As in a CI whose job that publishes comes to an engine that built, without its files.
    """
    if given.found is None or published is None or rules.trust is None:
        return None
    if Evidence.read(rules.evidence_folder, given.found.image_id):
        return None
    try:
        return _of_registry(rules, given, published)
    except (PublishRefused, VerificationFailed):
        return None


def _of_engine(rules: Rules, given: Target, found: EngineImage) -> Evidence:
    """The evidence of an image that the engine has."""
    evidence = Evidence.read(rules.evidence_folder, found.image_id)
    reason = _refusal(rules, given.cell, found.image_id, evidence)
    if reason:
        raise PublishRefused(reason)
    assert evidence is not None
    check_stand_in(given.cell.name, found.labels, rules.repository.address, evidence)
    return evidence


def _of_registry(rules: Rules, given: Target, published: PublishedImage) -> Evidence:
    """The evidence of an image that only the registry has, once its signature is verified."""
    if rules.trust is None:
        raise PublishRefused(
            f"{given.cell.name}: only the registry has it: say whose evidence counts, with "
            "--identity and --issuer"
        )
    evidence = verified_as(rules.cosign, rules.trust, published, given).evidence
    reason = _refusal(rules, given.cell, published.digest, evidence)
    if reason:
        raise PublishRefused(reason)
    check_stand_in(given.cell.name, published.labels, rules.repository.address, evidence)
    return evidence


def _refusal(rules: Rules, cell: Cell, image_id: str, evidence: Evidence | None) -> str | None:
    channel = rules.channel
    return refusal(cell, image_id, evidence, rules.channel_name, channel, tests=tests_digest())
