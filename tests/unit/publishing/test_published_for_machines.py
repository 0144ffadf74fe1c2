"""What `publish --json` and `publish --dry-run --json` say of each image and tag.

cosign, the registry and the scanners are made up.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_sbom import bill_of
from made_up_scanner import answer, rated
from scanned_site import NONE, Site

from made_up_publication import There
from rocm_images.build.targets import Target
from rocm_images.publishing.document import planned, published
from rocm_images.publishing.rolling_tags import Move
from rocm_images.registry.manifest import digest_of
from rocm_images.registry.statements import EVIDENCE, PROVENANCE, RELEASE
from rocm_images.sbom.document import KIND as SBOM


@pytest.fixture
def site(target: Target, tmp_path: Path, there: There, moved: list[str]) -> Site:
    return Site(target, tmp_path, there, moved)


def test_what_was_published_is_one_object_for_machines(site: Site) -> None:
    allow = [{"id": "CVE-2099-0001", "why": "not reachable", "until": "2026-11-26"}]
    low = rated("CVE-2099-0002", "low")
    found = site.publish(answer(rated("CVE-2099-0001", "critical"), low), allow=allow)
    (told,) = published(site.there, found)["images"]  # type: ignore[arg-type]
    asked = json.dumps(bill_of(site.image.digest)).encode()
    assert told == {
        "cell": site.candidate.cell.name,
        "digest": site.image.digest,
        "immutable_tag": site.candidate.immutable,
        "tags": [f"{tag}-preview" for tag in site.candidate.cell.tags],
        "scan": {
            "sbom": digest_of(asked),
            "worst": "critical",
            "within_bound": ["CVE-2099-0002"],
            "allowed": [{"id": "CVE-2099-0001", "severity": "critical", "until": "2026-11-26"}],
        },
        "evidence": str(site.candidate.evidence.level),
        "layers_sent": None,
        "signed": True,
        "attestations": [EVIDENCE, PROVENANCE, SBOM, RELEASE],
    }
    # Again nothing is added, and all of it is there.
    (again,) = published(site.there, site.publish(NONE))["images"]  # type: ignore[arg-type]
    assert (again["signed"], again["attestations"]) == (False, told["attestations"])
    # A push releases nothing.
    site.cosign.attached.clear()
    pushed = published(site.there, site.publish(NONE, move_tags=False))  # type: ignore[arg-type]
    assert pushed["images"][0]["attestations"] == [EVIDENCE, PROVENANCE, SBOM]
    assert pushed["images"][0]["scan"] is None


@pytest.mark.parametrize("pushed", [True, False])
def test_what_would_be_published_has_a_digest_where_the_registry_has_it(
    site: Site, pushed: bool
) -> None:
    candidate = site.candidate if pushed else replace(site.candidate, published=None)
    (scanned,) = site.work(NONE).scan([candidate])
    (told,) = planned(site.there, [candidate], [], [scanned])["images"]  # type: ignore[arg-type]
    assert told["digest"] == (site.image.digest if pushed else None)
    assert told["scan"]["worst"] == "none"
    assert "signed" not in told


def test_where_a_tag_moves_is_told_by_digests(site: Site) -> None:
    moving = [Move("a", None, site.image), Move("b", site.image, site.image)]
    assert planned(site.there, [], moving, [])["tags"] == [  # type: ignore[arg-type]
        {"tag": "a", "before": None, "after": site.image.digest},
        {"tag": "b", "before": site.image.digest, "after": site.image.digest},
    ]
