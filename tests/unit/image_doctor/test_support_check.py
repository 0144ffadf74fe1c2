"""The doctor warns in advance of the end of support, and never fails for it."""

from __future__ import annotations

import datetime
import json

import pytest

from image_doctor import all_checks, environment
from image_doctor.check import Status
from image_doctor.support_check import check_support
from image_facts.description import PLACE
from made_up_image import MadeUpImage

TODAY = datetime.date(2026, 11, 26)


def ends(made: MadeUpImage, until: object) -> None:
    facts = json.loads((made.root / PLACE).read_text())
    made.write(PLACE, json.dumps({**facts, "supported_until": until}))


@pytest.mark.parametrize(
    ("until", "status", "said"),
    [
        ("2027-02-25", Status.PASS, "until 2027-02-25."),
        ("2027-02-24", Status.WARN, "in 90 days"),
        ("2026-11-26", Status.WARN, "in 0 days"),
        ("2026-11-25", Status.WARN, "not supported since 2026-11-25"),
        ("1999-01-01", Status.WARN, "this machine's clock, which says 2026-11-26"),
    ],
)
def test_an_end_is_a_warning_ninety_days_before_and_never_a_failure(
    made: MadeUpImage, until: str, status: Status, said: str
) -> None:
    ends(made, until)
    (check,) = check_support(made.image, TODAY)
    assert check.status is status
    assert said in check.found


def test_of_an_image_that_names_no_end_nothing_is_said(made: MadeUpImage) -> None:
    assert list(check_support(made.image, TODAY)) == []


def test_the_doctor_asks(made: MadeUpImage) -> None:
    ends(made, "1999-01-01")
    (check,) = [one for one in all_checks.run(made.image) if one.name == "support"]
    assert check.status is Status.WARN


@pytest.mark.parametrize("odd", ["soon", "2026-02-30", 5])
def test_a_day_that_is_none_fails_the_description(made: MadeUpImage, odd: object) -> None:
    ends(made, odd)
    assert environment.check_description(made.image).status is Status.FAIL
