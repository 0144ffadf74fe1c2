"""Signs the images that were read back, and attaches what is to be said of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from rocm_images.engine.images import BUILD_ID
from rocm_images.errors import VerificationFailed
from rocm_images.pool import Threads
from rocm_images.publishing.attesting import Attesting, Statements, batched, stated
from rocm_images.publishing.candidates import AT_ONCE, Candidate, Rules
from rocm_images.publishing.provenance import provenance_of
from rocm_images.publishing.sboms import check_size
from rocm_images.registry.attached import Attachment, may_have
from rocm_images.registry.published import PublishedImage
from rocm_images.registry.statements import (
    EVIDENCE,
    PROVENANCE,
    RELEASE,
    Release,
    evidence_among,
    release_among,
)
from rocm_images.registry.trust import Signer
from rocm_images.sbom.document import KIND as SBOM
from rocm_images.smoke.evidence import Evidence

_KINDS = (EVIDENCE, PROVENANCE, SBOM, RELEASE)


@dataclass(frozen=True)
class Sealed:
    """What an image carries now."""

    evidence: Evidence
    statements: tuple[str, ...]
    """The types of what is attested of it."""
    added: bool
    """Whether a signature or a statement had to be added."""


@dataclass(frozen=True)
class Signing:
    """Who signs, and where to."""

    rules: Rules
    signer: Signer

    def signed(
        self,
        found: Sequence[Candidate],
        images: Sequence[PublishedImage],
        sboms: Sequence[Mapping[str, Any]],
        moving: AbstractSet[str] | None,
    ) -> list[Sealed]:
        """Adds the signatures and the statements that are missing.

        `sboms` say what each holds. `moving` are the rolling tags that will move; None: the images
        are not published yet.

        Raises:
            PublishRefused: what an image holds is more than can be signed without a key.
            RegistryError: a signature or a statement cannot be stored, or is lost.
        """
        rules = self.rules
        for one, document in zip(found, sboms, strict=True):
            check_size(one, document, self.signer)
        with Threads(AT_ONCE) as pool:
            new = [not known for known in pool.map(self._is_signed, images)]
            holding = list(pool.map(self._may_have_statements, images))
            unsigned = [image.reference for image, lacks in zip(images, new, strict=True) if lacks]
            # Meanwhile statements are attached, by the same signer about the same digests.
            signing = [
                pool.submit(rules.cosign.sign, first, self.signer, *more)
                for first, *more in batched(unsigned)
            ]
            known = [image.reference for image, may in zip(images, holding, strict=True) if may]
            there = stated(rules.cosign, rules.trust, known, _KINDS)
            none: Statements = dict.fromkeys(_KINDS, ())
            wanted, evidences, kinds = {}, [], []
            for one, image, document in zip(found, images, sboms, strict=True):
                said = there.get(image.reference, none)
                evidence = _evidence(one, image, said[EVIDENCE])
                evidences.append(evidence)
                statements = self._statements(one, image, evidence, document, moving, said)
                wanted[image.reference] = dict(statements)
                kinds.append([one for one in _KINDS if said[one] or one in wanted[image.reference]])
            attached = Attesting(rules.cosign, rules.trust, self.signer).attest(wanted, there)
            for each in signing:
                each.result()
        return [
            Sealed(evidence, tuple(of_it), signed or image.reference in attached)
            for signed, image, evidence, of_it in zip(new, images, evidences, kinds, strict=True)
        ]

    def _statements(
        self,
        one: Candidate,
        image: PublishedImage,
        evidence: Evidence,
        sbom: Mapping[str, Any],
        moving: AbstractSet[str] | None,
        there: Statements,
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The statements that the image is to have, by their kinds."""
        yield EVIDENCE, evidence.document
        # Where only the registry has the image, whoever pushed it knows how it was built.
        if one.on_engine is not None and not there[PROVENANCE]:
            yield PROVENANCE, provenance_of(one.target, os.environ)
        # The very one that a scanner was asked about: as it is attested, where it was already.
        yield SBOM, sbom
        if moving is not None:
            known = release_among(there[RELEASE])
            name, channel = self.rules.repository.name, self.rules.channel_name
            yield RELEASE, released_again(known, one, image, name, channel, moving).document

    def _is_signed(self, image: PublishedImage) -> bool:
        if self.rules.trust is None or not self._may_have(image, Attachment.SIGNATURES):
            return False
        try:
            self.rules.cosign.verify(image.reference, self.rules.trust)
        except VerificationFailed:
            return False
        return True

    def _may_have_statements(self, image: PublishedImage) -> bool:
        return self.rules.trust is not None and self._may_have(image, Attachment.STATEMENTS)

    def _may_have(self, image: PublishedImage, what: Attachment) -> bool:
        return may_have(self.rules.repository, self.rules.cosign, image.digest, what)


def _evidence(one: Candidate, image: PublishedImage, there: Sequence[Any]) -> Evidence:
    """The evidence of a candidate, or what it has there where that says more.

    A machine with GPUs may have tested it: who publishes it to another channel has none.
    """
    try:
        found = evidence_among(there, image.reference, image.ids)
    except VerificationFailed:
        return one.evidence
    return found if found.counts_for(one.evidence.tests, one.evidence.level) else one.evidence


def released_again(
    known: Release | None,
    one: Candidate,
    image: PublishedImage,
    repository: str,
    channel: str,
    moving: AbstractSet[str],
) -> Release:
    """What the publisher says of an image now; the same as before where none of its tags moves."""
    release = known or Release(
        repository=repository,
        cell=one.cell.name,
        build_id=image.labels[BUILD_ID],
        immutable=one.immutable,
        channels={},
    )
    before = release.channels.get(channel)
    if before and set(before.tags) == set(one.rolling) and moving.isdisjoint(one.rolling):
        return release
    return release.given_now(channel, one.rolling)
