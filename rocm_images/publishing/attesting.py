"""Attaches statements to images so that none is lost, whoever else attaches some at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rocm_images.errors import RegistryError
from rocm_images.pool import Threads
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.trust import Signer, Trust

_TRIES = 4
_AT_ONCE = 4
# So many images one process of cosign signs, or reads the statements of, one after the other.
_TOGETHER = 8
Statements = Mapping[str, Sequence[Any]]
"""The predicates that are attached to an image, by their kinds."""
Wanted = Mapping[str, Mapping[str, Any]]
"""The predicate that is to be attached to an image, of each kind."""


def batched(images: Collection[str]) -> list[list[str]]:
    """Images in groups, of which one process of cosign takes each."""
    names = list(images)
    return [names[begin : begin + _TOGETHER] for begin in range(0, len(names), _TOGETHER)]


def stated(
    cosign: Cosign, trust: Trust | None, images: Collection[str], kinds: Collection[str]
) -> dict[str, Statements]:
    """What those who are trusted attached to images by digest, of each kind.

    Raises:
        RegistryError: the registry does not answer.
    """
    if trust is None:
        return {image: {kind: [] for kind in kinds} for image in images}
    asked = [(kind, some) for kind in kinds for some in batched(images)]
    with Threads(_AT_ONCE) as pool:
        answers = list(pool.map(lambda one: cosign.statements_of(one[1], one[0], trust), asked))
    found: dict[str, dict[str, Sequence[Any]]] = {image: {} for image in images}
    for (kind, _), answer in zip(asked, answers, strict=True):
        for image, predicates in answer.items():
            found[image][kind] = predicates
    return dict(found)


@dataclass(frozen=True)
class Attesting:
    """Who attests, and whose statements count."""

    cosign: Cosign
    """For the images' registry."""
    trust: Trust | None
    """None: nobody's count, and nothing can be read back."""
    signer: Signer

    def attest(
        self, wanted: Mapping[str, Wanted], there: Mapping[str, Statements]
    ) -> frozenset[str]:
        """Attach the statements that are not there; returns the images that got any.

        cosign reads what is attached, and writes it with the new one: of two machines that do so
        at once, one loses its own. So what was attached is read back, and attached again.

        Args:
            wanted: for each image by digest.
            there: what is attached already.

        Raises:
            RegistryError: a statement cannot be stored, or is lost again and again.
        """
        added: set[str] = set()
        for _ in range(_TRIES):
            lacking = {
                image: missing
                for image, predicates in wanted.items()
                if (missing := _missing(predicates, there.get(image, {})))
            }
            if not lacking:
                return frozenset(added)
            added.update(lacking)
            with Threads(_AT_ONCE) as pool:
                list(pool.map(self._attach, lacking, lacking.values()))
            if self.trust is None:
                return frozenset(added)
            kinds = dict.fromkeys(kind for image in lacking for kind in wanted[image])
            there = {**there, **stated(self.cosign, self.trust, lacking, kinds)}
        raise RegistryError(
            f"{next(iter(lacking))}: what was attached to it is gone again: somebody else attests "
            "at the same time; let one of you publish again"
        )

    def _attach(self, image: str, predicates: Wanted) -> None:
        # One after the other: each is written with those that were there before.
        for kind, predicate in predicates.items():
            self.cosign.attest(image, kind, predicate, self.signer)


def _missing(wanted: Wanted, there: Statements) -> Wanted:
    return {kind: one for kind, one in wanted.items() if one not in there.get(kind, ())}
