"""What a run of `publish` did, or would do, as JSON: docs/publish.md describes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rocm_images.publishing.candidates import Candidate
from rocm_images.publishing.rolling_tags import Move
from rocm_images.publishing.scanning import Scanned
from rocm_images.publishing.transaction import Publication
from rocm_images.registry.client import Repository

SCHEMA = 1


def document(
    channel: str, repositories: Sequence[Mapping[str, Any]], *, dry_run: bool
) -> dict[str, Any]:
    """One object of what `published` or `planned` says of each repository."""
    return {
        "schema": SCHEMA,
        "channel": channel,
        "dry_run": dry_run,
        "repositories": list(repositories),
    }


def published(repository: Repository, what: Publication) -> dict[str, Any]:
    """What was done in one repository."""
    scans = _by_cell(what.scanned)
    images = [
        {
            **_image(done.candidate, done.image.digest, scans),
            "evidence": str(done.evidence.level),
            "layers_sent": done.layers_sent,
            "signed": done.signed,
            "attestations": list(done.statements),
        }
        for done in what.cells
    ]
    return _of(repository, images, what.planned)


def planned(
    repository: Repository,
    found: Sequence[Candidate],
    moving: Sequence[Move],
    scanned: Sequence[Scanned],
) -> dict[str, Any]:
    """What would be done there: what is known of it before anything is sent."""
    scans = _by_cell(scanned)
    images = [
        {
            **_image(one, one.published.digest if one.published else None, scans),
            "evidence": str(one.evidence.level),
        }
        for one in found
    ]
    return _of(repository, images, moving)


def _of(
    repository: Repository, images: Sequence[Mapping[str, Any]], moving: Sequence[Move]
) -> dict[str, Any]:
    return {
        "registry": str(repository.address),
        "repository": str(repository),
        "images": list(images),
        "tags": [
            {
                "tag": move.tag,
                "before": move.before.digest if move.before else None,
                "after": move.after.digest,
            }
            for move in moving
        ],
    }


def _image(
    one: Candidate, digest: str | None, scans: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    return {
        "cell": one.cell.name,
        "digest": digest,
        "immutable_tag": one.immutable,
        "tags": list(one.rolling),
        "scan": scans.get(one.cell.name),
    }


def _by_cell(scanned: Sequence[Scanned]) -> dict[str, dict[str, Any]]:
    """What was found in each image by its cell; nothing of it is refused."""
    return {
        one.cell: {
            "sbom": one.sbom,
            "worst": one.judged.worst,
            "within_bound": [found.id for found in one.judged.below],
            "allowed": [
                {"id": found.id, "severity": found.severity, "until": by.until}
                for found, by in one.judged.allowed
            ],
        }
        for one in scanned
    }
