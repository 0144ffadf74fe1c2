"""Attaches statements to an image so that none is lost, whoever else attaches some at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rocm_images.errors import RegistryError, VerificationFailed
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.trust import Signer, Trust

_TRIES = 4
Statements = Mapping[str, Sequence[Any]]
"""The predicates that are attached to an image, by their kinds."""


def stated(cosign: Cosign, trust: Trust | None, image: str, kind: str) -> list[Any]:
    """The predicates of a kind that those who are trusted attached to an image by digest.

    Raises:
        RegistryError: the registry does not answer.
    """
    if trust is None:
        return []
    try:
        return list(cosign.statements(image, kind, trust))
    except VerificationFailed:
        return []


def attest(
    cosign: Cosign,
    trust: Trust | None,
    signer: Signer,
    image: str,
    wanted: Mapping[str, Mapping[str, Any]],
    there: Statements,
) -> bool:
    """Attach the statements, by their kinds, that are not there; returns whether any was.

    cosign reads what is attached, and writes it with the new one: of two machines that do so at
    once, one loses its own. So what was attached is read back, and attached again.

    Args:
        cosign: for the image's registry.
        trust: whose statements count; None: nobody's, and nothing can be read back.
        signer: who signs.
        image: by digest.
        wanted: the predicate of each kind.
        there: what is attached already.

    Raises:
        RegistryError: a statement cannot be stored, or is lost again and again.
    """
    for attempt in range(_TRIES):
        missing = [kind for kind in wanted if wanted[kind] not in there.get(kind, ())]
        if not missing:
            return attempt > 0
        for kind in missing:
            cosign.attest(image, kind, wanted[kind], signer)
        if trust is None:
            return True
        there = {kind: stated(cosign, trust, image, kind) for kind in wanted}
    raise RegistryError(
        f"{image}: what was attached to it is gone again: somebody else attests at the same time; "
        "let one of you publish again"
    )
