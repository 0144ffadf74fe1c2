"""How upstream writes the tags of bases and of releases, and which tags are newer than ours.

A form is a tag of the matrix with its versions taken out: what else it says, a tag of the same form
says too. Pre-releases fit no form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from rocm_images.matrix.schema import Base, Source
from rocm_images.references import ImageName

_RELEASE = r"\d{1,4}(?:\.\d{1,4}){1,3}"
_LONGEST = 128


@dataclass(frozen=True)
class BaseTag:
    """What the tag of a base image says; `rocm` has the three numbers of a key in `bases`."""

    tag: str
    rocm: str
    python: str
    torch: str

    @property
    def age(self) -> tuple[Version, Version, Version]:
        """By which of two is newer."""
        return Version(self.rocm), Version(self.torch), Version(self.python)


@dataclass(frozen=True)
class BaseForm:
    """The form of one base's tags, in one repository."""

    repository: str
    pattern: str

    @classmethod
    def of(cls, rocm: str, base: Base) -> BaseForm | None:
        """Of a base of the matrix; None where its tag does not say its versions."""
        name = ImageName.parse(base.image)
        if name is None or name.tag is None:
            return None
        # 7.2.0 is written 7.2 as well.
        written = (rocm, rocm.removesuffix(".0"))
        rest, parts = name.tag, []
        for group, texts in (
            ("rocm", written),
            ("python", (base.python,)),
            ("torch", (base.torch,)),
        ):
            found = _version_in(rest, texts)
            if found is None:
                return None
            parts += [re.escape(rest[: found.start()]), f"(?P<{group}>{_RELEASE})"]
            rest = rest[found.end() :]
        return cls(name.repository, "".join([*parts, re.escape(rest)]))

    def read(self, tag: str) -> BaseTag | None:
        """What a tag says; None where it is of another form."""
        found = re.fullmatch(self.pattern, tag, re.ASCII)
        if found is None:
            return None
        numbers = found["rocm"].split(".")
        rocm = ".".join([*numbers, "0"] if len(numbers) == 2 else numbers)
        return BaseTag(tag, rocm, found["python"], found["torch"])


def _version_in(text: str, versions: Iterable[str]) -> re.Match[str] | None:
    for version in versions:
        found = re.search(rf"(?<![\d.]){re.escape(version)}(?![\d.])", text)
        if found:
            return found
    return None


def newer_bases(form: BaseForm, newest: BaseTag, tags: Iterable[str]) -> tuple[BaseTag, ...]:
    """Tags of a form that are newer than the newest of it that the matrix has, the newest first."""
    read = (form.read(tag) for tag in tags)
    found = {one for one in read if one and one.age > newest.age}
    return tuple(sorted(found, key=lambda one: (*one.age, one.tag), reverse=True))


@dataclass(frozen=True)
class Release:
    """A release of a server, by its tag."""

    tag: str
    version: str


def newer_releases(source: Source, tags: Iterable[str]) -> tuple[Release, ...]:
    """Releases newer than that of a source, the newest first, whose tags are written as its own.

    There are none where its own ref is a commit, which does not say how upstream writes tags.
    """
    before, version, after = source.ref.partition(source.version)
    if not version:
        return ()
    found = {one for one in _releases(before, after, tags) if _is_newer(one, source.version)}
    return tuple(sorted(found, key=lambda one: Version(one.version), reverse=True))


def _releases(before: str, after: str, tags: Iterable[str]) -> Iterator[Release]:
    for tag in tags:
        if len(tag) <= _LONGEST and tag.startswith(before) and tag.endswith(after):
            yield Release(tag, tag[len(before) : len(tag) - len(after)])


def _is_newer(one: Release, than: str) -> bool:
    # Written as numbers and dots, perhaps with a post-release: v2026.1+rocm is another thing.
    if not re.fullmatch(rf"{_RELEASE}(?:\.post\d{{1,4}})?", one.version, re.ASCII):
        return False
    try:
        return Version(one.version) > Version(than)
    except InvalidVersion:
        return False
