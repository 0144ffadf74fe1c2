"""Says in advance until when an image is supported, and its channel kept: docs/support.md."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from rocm_images.catalogue.schema import CatalogueEntry
from rocm_images.telling import counted

SAID_BEFORE = datetime.timedelta(days=90)
"""An end is told of so long before."""


def this_day() -> datetime.date:
    """The day in UTC, as everything that is published is dated."""
    return datetime.datetime.now(datetime.timezone.utc).date()


@dataclass(frozen=True)
class End:
    """The last day of something, with what is said before it and after."""

    day: datetime.date
    badge: str
    """In a few words, true whenever it is read."""
    before: str
    after: str

    def is_near(self, today: datetime.date) -> bool:
        """Whether it is to be told of: soon, or in the past."""
        return self.day - today <= SAID_BEFORE

    def told(self, today: datetime.date) -> str:
        """What is said of it on a day."""
        days = (self.day - today).days
        if days < 0:
            return self.after
        when = {0: "today", 1: "tomorrow"}.get(days, f"in {counted(days, 'day')}")
        return f"{self.before} ({when})"


def ends_of(image: CatalogueEntry) -> list[End]:
    """What of an image has an end that is known, whenever that is."""
    found = []
    if day := image.supported_until:
        base = f"its base, ROCm {image.rocm}"
        why = f": {image.supported_why}" if image.supported_why else ""
        found.append(
            End(
                datetime.date.fromisoformat(day),
                f"Base supported until {day}",
                f"{base}, is supported until {day}{why}",
                f"{base}, is not supported since {day}{why}: take an image on a newer one",
            )
        )
    if day := image.channel_until:
        channel = f"its channel, {image.channel},"
        found.append(
            End(
                datetime.date.fromisoformat(day),
                f"Channel kept until {day}",
                f"{channel} is kept until {day}",
                f"{channel} was kept until {day}: take an image of another one",
            )
        )
    return found


def support_notes(image: CatalogueEntry, today: datetime.date) -> list[str]:
    """What is to be said on a day, each as a part of a sentence without its end."""
    return [one.told(today) for one in ends_of(image) if one.is_near(today)]


def notes_of(images: Iterable[CatalogueEntry], today: datetime.date) -> list[str]:
    """The same of several images, each with the names of the images that it is about."""
    found: dict[str, list[str]] = {}
    for image in images:
        for sentence in support_notes(image, today):
            found.setdefault(sentence, []).append(image.cell)
    return [f"{', '.join(dict.fromkeys(cells))}: {text}" for text, cells in found.items()]
