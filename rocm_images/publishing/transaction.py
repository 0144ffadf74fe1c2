"""Publishes all cells or none: check, push, read back, sign, and move the rolling tags last.

Whatever fails before the last step leaves every rolling tag where it was, and running it again goes
on where it stopped, because each step first looks at what the registry already has.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rocm_images.build.progress import Progress
from rocm_images.build.targets import Target
from rocm_images.engine.connect import Engine
from rocm_images.errors import RegistryError, VerificationFailed
from rocm_images.publishing.candidates import AT_ONCE, Candidate, Rules, candidates
from rocm_images.publishing.push import push
from rocm_images.publishing.rolling_tags import Move, move_all, moves
from rocm_images.publishing.statements import EVIDENCE, PROVENANCE, provenance_of
from rocm_images.registry.cosign import Signer, Trust
from rocm_images.registry.published import PublishedImage, check_label, image_at
from rocm_images.threads import Threads


class Phase(str, enum.Enum):
    """The steps of publishing, in their order."""

    CHECK = "check"
    PUSH = "push"
    READ_BACK = "read back"
    SIGN = "sign"
    MOVE_TAGS = "move the rolling tags"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Done:
    """What was done with one cell."""

    candidate: Candidate
    image: PublishedImage
    layers_sent: int | None
    """None: the registry had the image."""
    signed: bool
    """Whether a signature or a statement had to be added."""


@dataclass(frozen=True)
class Publication:
    """What was done, cell by cell, and which rolling tags moved."""

    cells: tuple[Done, ...]
    planned: tuple[Move, ...]
    moved: tuple[Move, ...]


@dataclass(frozen=True)
class Transaction:
    """One run of `publish`, or of `push`, which moves no tag."""

    rules: Rules
    engine: Engine | None
    signer: Signer
    progress: Progress
    on_phase: Callable[[Phase], None] = lambda phase: None

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

    def run(self, found: Sequence[Candidate], *, move_tags: bool) -> Publication:
        """Publish them.

        Raises:
            RegistryError: the registry failed; the sentence says what is where.
            VerificationFailed: the registry has something else than what was pushed.
        """
        self.on_phase(Phase.PUSH)
        sent = {one.cell.name: self._push(one) for one in found}
        self.on_phase(Phase.READ_BACK)
        with Threads(AT_ONCE) as pool:
            images = list(pool.map(self._read_back, found))
        self.on_phase(Phase.SIGN)
        with Threads(AT_ONCE) as pool:
            signed = list(pool.map(self._sign, found, images))
        done = [
            Done(one, image, sent[one.cell.name], added)
            for one, image, added in zip(found, images, signed, strict=True)
        ]
        planned: list[Move] = []
        moved: list[Move] = []
        if move_tags:
            self.on_phase(Phase.MOVE_TAGS)
            wanted = {tag: one.image.top for one in done for tag in one.candidate.rolling}
            planned = moves(self.rules.repository, wanted)
            moved = move_all(self.rules.repository, planned)
        for one in done:
            self.progress.done(one.candidate.cell.name, "published" if move_tags else "pushed")
        return Publication(tuple(done), tuple(planned), tuple(moved))

    def _push(self, one: Candidate) -> int | None:
        """The number of layers sent; None where nothing had to be pushed.

        One image after the other, so that a layer of several is sent once.
        """
        if not one.to_push:
            return None
        assert self.engine is not None
        assert one.on_engine is not None

        def step(text: str) -> None:
            self.progress.step(one.cell.name, text)

        return push(self.engine, one.on_engine.image_id, self.rules.repository, one.immutable, step)

    def _read_back(self, one: Candidate) -> PublishedImage:
        """The image as the registry has it now, compared with what was tested."""
        self.progress.step(one.cell.name, "read back")
        image = image_at(self.rules.repository, one.immutable)
        if image is None:
            raise RegistryError(
                f"{self.rules.repository.reference(one.immutable)} is not there right after it was "
                "pushed: look at the registry, then publish again"
            )
        if one.evidence.image_id not in image.ids:
            raise VerificationFailed(
                f"{image.reference} is not what was tested, {one.evidence.image_id}: the registry "
                "or somebody on the way to it changed it; nothing was signed and no tag moved"
            )
        check_label(image, one.immutable)
        return image

    def _sign(self, one: Candidate, image: PublishedImage) -> bool:
        """Adds the signature and the statements that are missing; returns whether any was."""
        self.progress.step(one.cell.name, "sign")
        cosign, trust = self.rules.cosign, self.rules.trust
        added = False
        if trust is None or not self._is_signed(image, trust):
            cosign.sign(image.reference, self.signer)
            added = True
        document = one.evidence.document
        for kind, predicate in (
            (EVIDENCE, document),
            (PROVENANCE, provenance_of(image.labels)),
        ):
            if trust is None or predicate not in self._statements(image, kind, trust):
                cosign.attest(image.reference, kind, predicate, self.signer)
                added = True
        return added

    def _is_signed(self, image: PublishedImage, trust: Trust) -> bool:
        try:
            self.rules.cosign.verify(image.reference, trust)
        except VerificationFailed:
            return False
        return True

    def _statements(self, image: PublishedImage, kind: str, trust: Trust) -> list[object]:
        try:
            return list(self.rules.cosign.statements(image.reference, kind, trust))
        except VerificationFailed:
            return []


def own_trust(rules: Rules, signer: Signer, folder: Path) -> Rules:
    """The same rules, in which the signer's own key is trusted where nobody else was named.

    Raises:
        InputError: the key cannot be used.
    """
    if rules.trust is not None or signer.key is None:
        return rules
    return replace(rules, trust=rules.cosign.public_key(signer, folder))
