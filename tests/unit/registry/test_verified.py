"""What is signed about an image counts: its labels, its evidence and the tags it was given."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import pytest

from hostile_registry import Image
from made_up_catalogue import passed
from rocm_images.errors import VerificationFailed
from rocm_images.registry.manifest import Manifest
from rocm_images.registry.published import PublishedImage
from rocm_images.registry.statements import EVIDENCE, RELEASE, InChannel, Release, release_among
from rocm_images.registry.trust import Trust
from rocm_images.registry.verified import (
    Verified,
    check_built_as,
    check_immutable_tag,
    check_not_before,
    check_rolling_tag,
    is_immutable,
    verified,
)
from rocm_images.smoke.evidence import Evidence

BUILD_ID = "4b916ad5c63d" + "0" * 52
VERSION = "v0.5.21-rocm722-mi30x"
IMMUTABLE = f"{VERSION}-4b916ad5c63d"
CELL = "sglang-942-rocm7.2.2"
TRUST = Trust(key="cosign.pub")
FIRST, SECOND = (
    datetime.datetime(2026, month, 1, tzinfo=datetime.timezone.utc) for month in (1, 2)
)
RELEASED = Release(
    repository="x",
    cell=CELL,
    build_id=BUILD_ID,
    immutable=IMMUTABLE,
    channels={
        "preview": InChannel(tags=(f"{VERSION}-preview", "v0.5.21-mi30x-preview"), date=FIRST),
        "stable": InChannel(tags=(VERSION, "v0.5.21-mi30x"), date=SECOND),
    },
)


def image(**changed: str) -> PublishedImage:
    labels = {
        "rocm-serving-images.build-id": BUILD_ID,
        "rocm-serving-images.cell": CELL,
        "org.opencontainers.image.version": VERSION,
    } | {name.replace("__", "-").replace("_", "."): text for name, text in changed.items()}
    top = Manifest(Image(labels).top)
    return PublishedImage(f"r/x@{top.digest}", top, top.document, top.digest, labels)


def evidence_of(image_id: str) -> Evidence:
    return passed(CELL, image_id=image_id, date="2026-01-01T00:00:00+00:00")


class Said:
    """A stand-in for cosign: what those who are trusted said, by kind."""

    def __init__(self, **statements: list[Any]) -> None:
        self.statements_of = {
            EVIDENCE: statements.get("evidence"),
            RELEASE: statements.get("release"),
        }

    def verify(self, *_: object, **__: object) -> None: ...

    def statements(self, image: str, kind: str, *_: object, **__: object) -> list[Any]:
        found = self.statements_of[kind]
        if found is None:
            raise VerificationFailed(f"{image} carries no statement {kind}")
        return found


def look(found: PublishedImage, *releases: Release) -> Verified:
    said = Said(
        evidence=[evidence_of(found.digest).document],
        release=[one.document for one in releases] or None,
    )
    return verified(said, found, TRUST)  # type: ignore[arg-type]


def test_an_image_that_was_only_pushed_has_no_release() -> None:
    assert look(image()).release is None
    assert look(image(), RELEASED).release == RELEASED


@pytest.mark.parametrize(
    "other",
    [
        RELEASED.model_copy(update={"cell": "sglang-950-rocm7.2.2"}),
        RELEASED.model_copy(update={"build_id": "5" * 64}),
    ],
)
def test_a_release_that_names_another_image_is_refused(other: Release) -> None:
    with pytest.raises(VerificationFailed, match="is labelled otherwise"):
        look(image(), other)


def test_an_image_that_was_released_in_another_repository_is_refused() -> None:
    with pytest.raises(VerificationFailed, match="was released in the repository staging"):
        look(image(), RELEASED.model_copy(update={"repository": "staging"}))


def test_a_tag_that_is_given_again_is_given_later_whatever_the_clock_says() -> None:
    ahead = datetime.datetime(2999, 1, 1, tzinfo=datetime.timezone.utc)
    first = RELEASED.with_channel("stable", (VERSION,), ahead)
    assert first.given_now("preview", (VERSION,)).channels["preview"].date > ahead


def test_the_newest_release_counts_wherever_it_stands() -> None:
    older = RELEASED.model_copy(update={"channels": {}})
    documents = [older.document, RELEASED.document, {**RELEASED.document, "schema": 2}, [], None]
    assert release_among(documents) == RELEASED
    assert release_among(reversed(documents)) == RELEASED
    assert release_among([{}, "text"]) is None


@pytest.mark.parametrize(
    "damaged",
    [
        {"channels": {"stable": {"tags": ["a b"], "date": "2026-01-01T00:00:00Z"}}},
        {"channels": {"stable": {"tags": ["a"], "date": "2026-01-01T00:00:00"}}},
        {"immutable": "no tag at all"},
        {"more": 1},
    ],
)
def test_a_release_that_cannot_be_read_is_none(damaged: dict[str, Any]) -> None:
    assert Release.of_document(RELEASED.document) == RELEASED
    assert Release.of_document({**RELEASED.document, **damaged}) is None


def test_an_immutable_tag_says_version_base_gpus_and_build_id() -> None:
    check_immutable_tag(image(), IMMUTABLE)
    check_immutable_tag(image(), f"{VERSION}-rehearsal-4b916ad5c63d")
    for tag in (
        f"{VERSION}-4b916ad5c63e",
        "v0.5.21-rocm720-mi30x-4b916ad5c63d",
        "v0.5.21-rocm722-mi35x-4b916ad5c63d",
        "v0.5.20-rocm722-mi30x-4b916ad5c63d",
        f"{VERSION}-mi35x-4b916ad5c63d",
        f"x{IMMUTABLE}",
        VERSION,
        "4b916ad5c63d",
    ):
        with pytest.raises(VerificationFailed, match="someone moved an immutable tag"):
            check_immutable_tag(image(), tag)
    unlabelled = replace(image(), labels={})
    with pytest.raises(VerificationFailed, match=r"build id \(none\)"):
        check_immutable_tag(unlabelled, IMMUTABLE)


def test_tags_that_end_in_a_build_id_are_immutable() -> None:
    assert is_immutable(IMMUTABLE)
    assert not is_immutable(VERSION)
    assert not is_immutable("4b916ad5c63d")
    assert not is_immutable(f"{IMMUTABLE}-preview")


def test_what_is_signed_is_what_was_asked_for() -> None:
    check_built_as(image(), CELL, BUILD_ID)
    for cell, build_id in (("sglang-942-rocm7.2.0", BUILD_ID), (CELL, "4b916ad5c63d" + "1" * 52)):
        with pytest.raises(VerificationFailed, match="someone moved an immutable tag"):
            check_built_as(image(), cell, build_id)


def test_a_rolling_tag_is_one_that_the_publisher_gave() -> None:
    found = look(image(), RELEASED)
    assert check_rolling_tag(found, VERSION).date == SECOND
    assert check_rolling_tag(found, f"{VERSION}-preview").date == FIRST
    for tag in ("v0.5.21-rocm720-mi30x", "latest", "catalogue", f"{VERSION}-rehearsal"):
        with pytest.raises(VerificationFailed, match=f"never given the tag {tag}"):
            check_rolling_tag(found, tag)
    with pytest.raises(VerificationFailed, match="never given the tag"):
        check_rolling_tag(look(image()), VERSION)


def test_a_tag_of_two_channels_is_as_old_as_it_was_last_given() -> None:
    both = RELEASED.with_channel("other", (VERSION,), FIRST)
    assert both.of_tag(VERSION) == both.channels["stable"]
    assert both.latest == SECOND


def test_an_image_that_got_its_tag_before_a_date_is_refused() -> None:
    found = look(image(), RELEASED)
    given = check_rolling_tag(found, VERSION)
    check_not_before(found, given, SECOND)
    with pytest.raises(VerificationFailed, match="was given that tag on 2026-02-01"):
        check_not_before(found, given, SECOND + datetime.timedelta(seconds=1))
    with pytest.raises(VerificationFailed, match="was tested on 2026-01-01"):
        check_not_before(look(image()), None, SECOND)
