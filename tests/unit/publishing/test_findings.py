"""What a scanner's answer says, and what a channel makes of it. Every vulnerability is made up."""

from __future__ import annotations

import datetime
import json
from contextlib import nullcontext
from typing import Any

import pytest
from made_up_sbom import bill_of
from made_up_scanner import SBOM, TODAY, answer, rated

from rocm_images.matrix.schema import Scan
from rocm_images.publishing.findings import Finding, Judged, findings_in, judged, notes

UNREADABLE = {
    "nothing": b"",
    "no JSON": b"no vulnerabilities found\n",
    "the SBOM itself": json.dumps({"bomFormat": "CycloneDX", **SBOM}).encode(),
    "another format": b'{"matches": [], "vulnerabilities": []}',
    "no list": b'{"bomFormat": "CycloneDX", "vulnerabilities": null}',
    "no object": b'{"bomFormat": "CycloneDX", "vulnerabilities": ["CVE-2099-0001"]}',
    "no id": b'{"bomFormat": "CycloneDX", "vulnerabilities": [{"id": ""}]}',
    "a rating of another type": b'{"bomFormat": "CycloneDX", "vulnerabilities": '
    b'[{"id": "CVE-2099-0001", "ratings": {"severity": "low"}}]}',
    "half of it": b'{"bomFormat": "CycloneDX", "vulnerabilities": [',
    "a list": b"[]",
    "a list that is there twice": b'{"bomFormat": "CycloneDX", "vulnerabilities": '
    b'[{"id": "CVE-2099-0001"}], "vulnerabilities": []}',
    "a list that is there in another case": b'{"bomFormat": "CycloneDX", "vulnerabilities": [], '
    b'"Vulnerabilities": [{"id": "CVE-2099-0001"}]}',
    "a severity that is there twice": b'{"bomFormat": "CycloneDX", "vulnerabilities": [{"id": '
    b'"CVE-2099-0001", "ratings": [{"severity": "critical", "severity": "low"}]}]}',
    "ratings in another case": b'{"bomFormat": "CycloneDX", "vulnerabilities": [{"id": '
    b'"CVE-2099-0001", "ratings": [{"severity": "low"}], "Ratings": []}]}',
}


def scan(at_most: str = "medium", **until: str) -> Scan:
    allow = [
        {"id": name.replace("_", "-"), "why": "not reachable", "until": day}
        for name, day in until.items()
    ]
    return Scan.model_validate(
        {"command": ["scanner", "{sbom}"], "at_most": at_most, "allow": allow}
    )


def of(found: bytes, asked: Scan, today: datetime.date = TODAY) -> Judged:
    return judged(findings_in(found, SBOM), asked, today)


@pytest.mark.parametrize("what", UNREADABLE)
def test_an_answer_that_is_none_never_means_no_findings(what: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        findings_in(UNREADABLE[what], SBOM)


def test_an_empty_list_means_no_findings() -> None:
    assert findings_in(answer(), SBOM) == ()


def test_a_finding_has_the_name_that_the_sbom_gives_its_package() -> None:
    link = "urn:cdx:0a1b/1#one"
    found = findings_in(answer(rated("CVE-2099-0001", "low", ref=link)), SBOM)
    assert found == (Finding("CVE-2099-0001", "low", ("openssl 3.0.19",)),)


def test_an_answer_names_packages_of_its_own_and_strange_ones_as_they_are() -> None:
    own = {"bom-ref": "two", "name": "zlib", "version": "1.3"}
    given = answer(
        rated("CVE-2099-0001", "low", ref="two"),
        rated("CVE-2099-0002", "low", ref="\x1b[2J"),
        components=[own],
    )
    assert [one.packages for one in findings_in(given, SBOM)] == [("zlib 1.3",), ("\\u001b[2J",)]


def test_the_worst_of_several_ratings_and_of_several_packages_counts() -> None:
    given = answer(rated("CVE-2099-0001", "low", "HIGH"), rated("CVE-2099-0001", "medium", ref="x"))
    assert findings_in(given, SBOM) == (Finding("CVE-2099-0001", "high", ("openssl 3.0.19", "x")),)


@pytest.mark.parametrize(
    "ratings",
    [
        [{"score": 9.8}, {"severity": "low"}],
        [{"severity": "low"}, {"severity": "moderate"}],
        [{"severity": "unknown"}, {"severity": "none"}],
        [],
        None,
    ],
)
def test_a_rating_of_which_nobody_knows_the_severity_may_be_the_worst(
    ratings: list[dict[str, Any]] | None,
) -> None:
    given = answer({"id": "CVE-2099-0001", "ratings": ratings})
    assert [one.severity for one in of(given, scan("high")).refused] == ["unknown"]


ID, OTHER = (f"sha256:{letter * 64}" for letter in "ab")


@pytest.mark.parametrize(
    ("component", "refused"),
    [
        ({"bom-ref": ID, "version": OTHER}, False),
        ({"bom-ref": "caf3142caa4aa41f", "name": "image", "version": ID}, False),
        ({"name": "/tmp/sbom.cdx.json", "version": None}, False),
        (None, False),
        ({"bom-ref": OTHER, "name": "image"}, True),
        ({"bom-ref": "caf3142caa4aa41f", "name": "image", "version": OTHER}, True),
        ({"name": f"registry.example.com/image@{OTHER}"}, True),
        ({"name": "image", "purl": f"pkg:oci/image@sha256%3A{'b' * 64}?arch=amd64"}, True),
    ],
)
def test_what_is_said_of_another_image_is_no_answer(
    component: dict[str, Any] | None, refused: bool
) -> None:
    given = answer(metadata={"component": component})
    with pytest.raises(ValueError, match="another image") if refused else nullcontext():
        assert findings_in(given, bill_of(ID)) == ()


@pytest.mark.parametrize(
    ("severity", "refused"),
    [("none", False), ("info", False), ("low", False), ("medium", False), ("high", True)]
    + [("critical", True), ("unknown", True), ("moderate", True)],
)
def test_what_is_worse_than_the_bound_is_refused_and_what_nobody_knows_too(
    severity: str, refused: bool
) -> None:
    found = of(answer(rated("CVE-2099-0001", severity)), scan("medium"))
    assert (len(found.refused), len(found.below)) == (int(refused), int(not refused))


def test_a_finding_without_a_rating_is_refused() -> None:
    assert of(answer({"id": "CVE-2099-0001"}), scan("high")).refused[0].severity == "unknown"


def test_a_bound_of_none_lets_no_finding_through() -> None:
    assert len(of(answer(rated("CVE-2099-0001", "none")), scan("none")).refused) == 1


@pytest.mark.parametrize(("day", "refused"), [("2026-11-26", 0), ("2026-11-25", 1)])
def test_an_allowance_holds_until_its_day_ends_and_not_after(day: str, refused: int) -> None:
    found = of(answer(rated("CVE-2099-0001", "critical")), scan(CVE_2099_0001=day))
    assert (len(found.refused), len(found.allowed)) == (refused, 1 - refused)
    assert [one.id for one in found.expired] == ["CVE-2099-0001"] * refused


def test_an_allowance_is_for_the_whole_of_its_id() -> None:
    found = of(answer(rated("CVE-2099-00011", "critical")), scan(CVE_2099_0001="2099-01-01"))
    assert len(found.refused) == 1


def test_the_worst_stands_first() -> None:
    given = answer(rated("CVE-2099-0001", "high"), rated("CVE-2099-0002", "critical"))
    assert [one.severity for one in of(given, scan()).refused] == ["critical", "high"]


@pytest.mark.parametrize(
    ("day", "said"),
    [("2026-11-25", ""), ("2026-11-26", "(today)"), ("2026-11-27", "(tomorrow)")]
    + [("2026-12-26", "(in 30 days)"), ("2026-12-27", "")],
)
def test_the_end_of_an_allowance_is_said_thirty_days_before(day: str, said: str) -> None:
    asked = scan(CVE_2099_0001=day)
    told = notes(asked, [of(answer(rated("CVE-2099-0001", "high")), asked)], "stable", TODAY)
    assert [said in one and "CVE-2099-0001" in one for one in told] == [True] * bool(said)


def test_an_allowance_that_matches_nothing_in_any_image_is_said() -> None:
    asked = scan(CVE_2099_0001="2099-01-01", CVE_2099_0002="2099-01-01")
    every = [of(answer(), asked), of(answer(rated("CVE-2099-0002", "low")), asked)]
    (told,) = notes(asked, every, "stable", TODAY)
    assert "CVE-2099-0001 matches nothing" in told
