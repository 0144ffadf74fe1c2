"""Checks whether the image's base is still supported: never a failure, as a clock may be wrong."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from image_doctor.check import Check, passed, warned
from image_doctor.image import Image

SAID_BEFORE = datetime.timedelta(days=90)
NAME = "support"
ADVICE = "Take an image on a newer base: nobody mends what is found in this one after that day."


def check_support(image: Image, today: datetime.date | None = None) -> Iterator[Check]:
    """The last day of support is far away; of an image that names none nothing is said."""
    until = image.facts.supported_until
    if until is None:
        return
    today = today or datetime.datetime.now(datetime.timezone.utc).date()
    base = f"The base, ROCm {image.facts.rocm},"
    if until < today:
        clock = f"by this machine's clock, which says {today}"
        yield warned(NAME, f"{base} is not supported since {until}, {clock}.", ADVICE)
    elif until - today <= SAID_BEFORE:
        days = (until - today).days
        yield warned(NAME, f"{base} is supported until {until}, in {days} days.", ADVICE)
    else:
        yield passed(NAME, f"{base} is supported until {until}.")
