"""Lists the tags of a repository, page by page, however long or odd a registry's list is."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from rocm_images.errors import RegistryError
from rocm_images.foreign import parsed
from rocm_images.references import TAG
from rocm_images.registry.client import Repository

if TYPE_CHECKING:
    from dxf import DXF

MOST_TAGS = 100_000
MOST_PAGES = 500
SECONDS = 60.0
"""For all pages; each has the deadlines of the repository, too."""
_PAGE = {"n": "1000"}
_TAG = re.compile(TAG, re.ASCII)


@dataclass(frozen=True)
class _Page:
    tags: tuple[str, ...]
    following: Mapping[str, str] | None
    """What to ask for the next page with; None: this is the last."""


def tags_of(repository: Repository) -> tuple[str, ...] | None:
    """Every tag of the repository, in the registry's order; None where it has no such list.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags

    Raises:
        RegistryError: the registry does not answer, does not let us in, answers something else,
            or does not come to an end.
    """
    end = time.monotonic() + SECONDS
    found: dict[str, None] = {}
    asked: Mapping[str, str] = _PAGE
    for _ in range(MOST_PAGES):
        page = repository._ask(partial(_page, asked=asked), "its list of tags")
        if page is None:
            return None
        found |= dict.fromkeys(page.tags)
        if page.following is None and len(found) <= MOST_TAGS:
            return tuple(found)
        if page.following in (None, asked) or len(found) > MOST_TAGS or time.monotonic() > end:
            break
        asked = page.following or {}
    raise RegistryError(
        f"{repository}: its list of tags does not end: it was left after {len(found)} tags"
    )


def _page(dxf: DXF, asked: Mapping[str, str]) -> _Page:
    answer = dxf._request("get", "tags/list", params=dict(asked))  # type: ignore[no-untyped-call]
    tags = parsed(answer.content)["tags"] or []
    if not isinstance(tags, list):
        raise TypeError("its tags are no list")
    # Of the address that it names only what is asked there: the list is where it was.
    link = answer.links.get("next", {}).get("url")
    following = None if link is None else dict(parse_qsl(urlsplit(link).query))
    # What is no tag cannot be asked for, and would act where it is shown.
    return _Page(tuple(t for t in tags if isinstance(t, str) and _TAG.fullmatch(t)), following)
