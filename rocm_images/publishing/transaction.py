"""Publishes all or none: check, push, read back, list, scan, check the budget, sign, move tags.

Whatever fails before the last step leaves every rolling tag where it was, and running it again goes
on where it stopped, because each step first looks at what the registry already has. What a scanner
has something against is not signed. What is over the budget is left as `push` leaves it, so that it
stands in no build's way.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocm_images import telling
from rocm_images.build.progress import Progress
from rocm_images.build.targets import Target
from rocm_images.catalogue.schema import Catalogue
from rocm_images.catalogue.support import this_day
from rocm_images.engine.connect import Engine
from rocm_images.errors import PublishRefused, RegistryError, VerificationFailed
from rocm_images.pool import Threads
from rocm_images.publishing.budget import Spent, spend
from rocm_images.publishing.candidates import AT_ONCE, Candidate, Rules, candidates
from rocm_images.publishing.push import Pushed, push
from rocm_images.publishing.rolling_tags import Move, move_all, moves
from rocm_images.publishing.sboms import attested_of, sbom_for
from rocm_images.publishing.scanning import Scanned, Scanning, check, keep
from rocm_images.publishing.signing import Sealed, Signing
from rocm_images.registry.published import PublishedImage, image_at
from rocm_images.registry.trust import Signer
from rocm_images.registry.verified import check_built_as
from rocm_images.smoke.evidence import Evidence


class Phase(str, enum.Enum):
    """The steps of publishing, in their order."""

    CHECK = "check"
    PUSH = "push"
    READ_BACK = "read back"
    SBOM = "list what each image holds"
    SCAN = "ask for known vulnerabilities"
    BUDGET = "check the budget"
    SIGN = "sign"
    MOVE_TAGS = "move the rolling tags"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Done:
    """What was done with one cell."""

    candidate: Candidate
    image: PublishedImage
    evidence: Evidence
    """What is attached to it now."""
    layers_sent: int | None
    """None: the registry had the image."""
    signed: bool
    """Whether a signature or a statement had to be added."""
    statements: tuple[str, ...]
    """The types of what is attested of it now."""
    sbom: Mapping[str, Any]
    """What it holds, as that is attested."""


@dataclass(frozen=True)
class Publication:
    """What was done, cell by cell, and which rolling tags moved."""

    cells: tuple[Done, ...]
    planned: tuple[Move, ...]
    moved: tuple[Move, ...]
    spent: tuple[Spent, ...] = ()
    """What a node pulls of each; empty where no channel was asked."""
    scanned: tuple[Scanned, ...] = ()
    """What the channel's scanner found in each; empty where it has none."""


@dataclass(frozen=True)
class Transaction:
    """One run of `publish`, or of `push`, which moves no tag."""

    rules: Rules
    engine: Engine | None
    signer: Signer
    progress: Progress
    on_phase: Callable[[Phase], None] = lambda phase: None
    listed: Catalogue | None = None
    """The catalogue before, verified: what nodes may have already."""
    folder: Path = Path()
    """Of matrix.yaml, where a channel's scanner runs."""
    today: Callable[[], datetime.date] = this_day

    def check(self, given: Sequence[Target]) -> list[Candidate]:
        """What is to be published.

        Raises:
            PublishRefused: something may not be published.
            RegistryError: the registry does not answer.
        """
        self.on_phase(Phase.CHECK)
        return candidates(self.rules, given)

    def plan(self, found: Sequence[Candidate]) -> list[Move]:
        """Which rolling tags would move; those of cells that are still to be pushed are left out.

        Raises:
            RegistryError: the registry does not answer.
        """
        return moves(
            self.rules.repository,
            {tag: one.published.top for one in found if one.published for tag in one.rolling},
        )

    def scan(self, found: Sequence[Candidate]) -> tuple[Scanned, ...]:
        """What the channel's scanner finds in them now, pushed or not; nothing is signed.

        Their bills and what was found lie beside the evidence afterwards, as after a publication.

        Raises:
            PublishRefused: as `run` would.
            VerificationFailed, RegistryError, EngineError: there is no bill of one.
        """
        if self.rules.channel.scan is None:
            return ()
        self.on_phase(Phase.SBOM)
        sboms = self._sboms(found, [one.published for one in found])
        # Before it is pushed, an image is known by what was tested.
        digests = [
            one.published.digest if one.published else one.evidence.image_id for one in found
        ]
        return self._scanned(found, digests, sboms)

    def run(self, found: Sequence[Candidate], *, move_tags: bool) -> Publication:
        """Publish them.

        Raises:
            RegistryError: the registry failed; the sentence says what is where.
            VerificationFailed: the registry has something else than what was pushed.
            PublishRefused: it is more than the channel's budget; it is signed, and not released.
        """
        self.on_phase(Phase.PUSH)
        sent = [self._push(one) for one in found]
        self.on_phase(Phase.READ_BACK)
        with Threads(AT_ONCE) as pool:
            images = list(pool.map(self._read_back, found, sent))
        self.on_phase(Phase.SBOM)
        sboms = self._sboms(found, images)
        planned: list[Move] = []
        spent: tuple[Spent, ...] = ()
        scanned: tuple[Scanned, ...] = ()
        if move_tags:
            scanned = self._scanned(found, [image.digest for image in images], sboms)
            self.on_phase(Phase.BUDGET)
            try:
                spent = spend(self.rules, self.engine, self.listed, found, images)
            except PublishRefused:
                self._signed(found, images, sboms, None)
                raise
            wanted = {
                tag: image.top
                for one, image in zip(found, images, strict=True)
                for tag in one.rolling
            }
            planned = moves(self.rules.repository, wanted)
        moving = {move.tag for move in planned if move.is_needed}
        signed = self._signed(found, images, sboms, moving if move_tags else None)
        moved: list[Move] = []
        if move_tags:
            self.on_phase(Phase.MOVE_TAGS)
            moved = move_all(self.rules.repository, planned)
        for one in found:
            self.progress.done(one.cell.name, "published" if move_tags else "pushed")
        done = [
            Done(
                one,
                image,
                now.evidence,
                pushed.layers if pushed else None,
                now.added,
                now.statements,
                sbom,
            )
            for one, image, pushed, now, sbom in zip(
                found, images, sent, signed, sboms, strict=True
            )
        ]
        return Publication(tuple(done), tuple(planned), tuple(moved), spent, scanned)

    def _sboms(
        self, found: Sequence[Candidate], images: Sequence[PublishedImage | None]
    ) -> list[Mapping[str, Any]]:
        """What each image holds; made one after the other, as each takes all CPUs."""
        made = []
        there = attested_of(self.rules, images)
        for one, image, attested in zip(found, images, there, strict=True):
            self.progress.step(one.cell.name, "list what it holds")
            sbom = sbom_for(self.rules, self.engine, one, image, attested)
            if sbom.other:
                telling.step(
                    f"{telling.PROGRAM}: note: {one.cell.name}: {sbom.other} lists other things "
                    "than the SBOM that is attested for this image, which alone is scanned, and "
                    "stays: remove the file"
                )
            made.append(sbom.document)
        return made

    def _scanned(
        self,
        found: Sequence[Candidate],
        digests: Sequence[str],
        sboms: Sequence[Mapping[str, Any]],
    ) -> tuple[Scanned, ...]:
        """What the channel's scanner found in each image, which is kept beside the evidence.

        Raises:
            PublishRefused: it found what the channel does not allow, or gave no answer.
        """
        scan, name = self.rules.channel.scan, self.rules.channel_name
        if scan is None:
            return ()
        self.on_phase(Phase.SCAN)
        asked = Scanning(name, scan, self.folder, self.today(), key=self.signer.key)

        def scanned(one: Candidate, digest: str, sbom: Mapping[str, Any]) -> Scanned:
            self.progress.step(one.cell.name, "ask for known vulnerabilities")
            result = asked.scanned(one.cell.name, digest, sbom)
            keep(self.rules.evidence_folder, asked, result)
            return result

        with Threads(AT_ONCE) as pool:
            every = tuple(pool.map(scanned, found, digests, sboms))
        check(name, scan, every)
        return every

    def _signed(
        self,
        found: Sequence[Candidate],
        images: Sequence[PublishedImage],
        sboms: Sequence[Mapping[str, Any]],
        moving: AbstractSet[str] | None,
    ) -> list[Sealed]:
        """What each carries then; see Signing."""
        self.on_phase(Phase.SIGN)
        for one in found:
            self.progress.step(one.cell.name, "sign")
        return Signing(self.rules, self.signer).signed(found, images, sboms, moving)

    def _push(self, one: Candidate) -> Pushed | None:
        """What was sent; None where nothing had to be pushed.

        One image after the other, so that a layer of several is sent once.
        """
        if not one.to_push:
            return None
        assert self.engine is not None
        assert one.on_engine is not None

        def step(text: str, far: str = "", /) -> None:
            self.progress.step(one.cell.name, text, far)

        return push(self.engine, one.on_engine.image_id, self.rules.repository, one.immutable, step)

    def _read_back(self, one: Candidate, pushed: Pushed | None) -> PublishedImage:
        """The image as the registry has it now: exactly what was pushed, or what was checked.

        From here on everything is about its digest, whatever becomes of the tag.
        """
        self.progress.step(one.cell.name, "read back")
        image = image_at(self.rules.repository, one.immutable)
        if image is None:
            raise RegistryError(
                f"{self.rules.repository.reference(one.immutable)} is not there right after it was "
                "pushed: look at the registry, then publish again"
            )
        if image.digest != _checked(one, pushed):
            raise VerificationFailed(
                f"{image.reference} is not what was tested, {one.evidence.image_id}: the registry "
                "or somebody on the way to it changed it; nothing was signed and no tag moved"
            )
        assert one.target.inputs is not None
        check_built_as(image, one.cell.name, one.target.inputs.build_id)
        return image


def _checked(one: Candidate, pushed: Pushed | None) -> str:
    """The digest that a registry must have: of what was checked there, or of what was sent."""
    if one.published is not None:
        return one.published.digest
    if pushed and pushed.digest:
        return pushed.digest
    # An engine that does not say what it sent, and knows images by their manifests.
    return one.evidence.image_id
