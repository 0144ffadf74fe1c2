"""What is attested of a published image: its smoke evidence, and how it was built."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rocm_images.engine.images import BUILD_ID, CELL, INPUTS
from rocm_images.errors import VerificationFailed
from rocm_images.smoke.evidence import Evidence

EVIDENCE = "https://github.com/rocm-serving-images/rocm-serving-images/evidence/v1"
# By its address and not by cosign's name of it, with which cosign would rewrite the statement.
PROVENANCE = "https://slsa.dev/provenance/v1"
_BUILD_TYPE = "https://github.com/rocm-serving-images/rocm-serving-images/build/v1"
_BASE = "org.opencontainers.image.base.name"
_SOURCE = "org.opencontainers.image.source"


def provenance_of(labels: Mapping[str, str]) -> dict[str, Any]:
    """SLSA provenance from the labels of an image: its build id and every input by its digest.

    The digests of the inputs are the first 12 hex digits: docs/build-id.md.
    Source: https://slsa.dev/spec/v1.0/provenance
    """
    inputs: dict[str, str] = json.loads(labels.get(INPUTS) or "{}")
    return {
        "buildDefinition": {
            "buildType": _BUILD_TYPE,
            "externalParameters": {
                "cell": labels.get(CELL, ""),
                "base": labels.get(_BASE, ""),
                "buildId": labels.get(BUILD_ID, ""),
            },
            "internalParameters": {"inputs": inputs},
            "resolvedDependencies": [],
        },
        "runDetails": {"builder": {"id": labels.get(_SOURCE, "")}, "metadata": {}},
    }


def evidence_among(predicates: list[dict[str, Any]], image: str, ids: frozenset[str]) -> Evidence:
    """The evidence about an image that is known by these ids: its digest, its configuration's.

    Raises:
        VerificationFailed: there is none, or only for another image.
    """
    found = [evidence for one in predicates if (evidence := Evidence.of_document(one))]
    if not found:
        raise VerificationFailed(
            f"{image}: its evidence cannot be read: it is of another version of this program, or "
            "none at all"
        )
    for evidence in found:
        if evidence.image_id in ids:
            return evidence
    raise VerificationFailed(
        f"{image}: its evidence is about another image, {found[0].image_id}: nothing says what "
        "this one was tested on; do not use it"
    )
