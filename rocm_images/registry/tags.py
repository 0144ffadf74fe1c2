"""Puts a repository's list of tags together, page by page, however long or odd it is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from rocm_images.errors import RegistryError
from rocm_images.foreign import parsed
from rocm_images.references import TAG
from rocm_images.telling import counted

if TYPE_CHECKING:
    from requests import Response

MOST_TAGS = 100_000
MOST_PAGES = 500
SECONDS = 60.0
"""For all pages; each has the deadlines of the repository, too."""
_FIRST = {"n": "1000"}
_TAG = re.compile(TAG, re.ASCII)


@dataclass(frozen=True)
class Page:
    """A part of the list."""

    tags: tuple[str, ...]
    following: Mapping[str, str] | None
    """What to ask for the next page with; None: this is the last."""

    @classmethod
    def of(cls, answer: Response) -> Page:
        """What an answer has.

        Raises:
            ValueError, LookupError, TypeError, AttributeError: it is no page of such a list.
        """
        tags = parsed(answer.content)["tags"] or []
        if not isinstance(tags, list):
            raise TypeError("its tags are no list")
        # Of the address that it names only what is asked there: the list is where it was.
        link = answer.links.get("next", {}).get("url")
        following = None if link is None else dict(parse_qsl(urlsplit(link).query))
        # What is no tag cannot be asked for, and would act where it is shown.
        return cls(tuple(t for t in tags if isinstance(t, str) and _TAG.fullmatch(t)), following)


def every_tag(
    page_for: Callable[[Mapping[str, str]], Page | None], repository: str
) -> tuple[str, ...] | None:
    """Every tag once, in the list's order; None where there is no such list.

    Args:
        page_for: asks for a page by its query; None: there is none.
        repository: whose list it is, for the sentence.

    Raises:
        RegistryError: the list does not come to an end.
    """
    end = time.monotonic() + SECONDS
    found: dict[str, None] = {}
    asked: Mapping[str, str] = _FIRST
    for _ in range(MOST_PAGES):
        page = page_for(asked)
        if page is None:
            return None
        found |= dict.fromkeys(page.tags)
        if page.following is None and len(found) <= MOST_TAGS:
            return tuple(found)
        if page.following in (None, asked) or len(found) > MOST_TAGS or time.monotonic() > end:
            break
        asked = page.following or {}
    raise RegistryError(
        f"{repository}: its list of tags does not end: it was left after "
        f"{counted(len(found), 'tag')}"
    )
