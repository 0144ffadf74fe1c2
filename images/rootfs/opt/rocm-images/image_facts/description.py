"""Reads image.json: the one reader that every program in an image uses.

A key that an older image lacks is None, or empty; one that holds what it must not is an error.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from image_facts.foreign import document_of
from image_facts.hip_builds import HipBuild, release_of
from image_servers import SERVERS, server_of

PLACE = "opt/rocm-images/image.json"
"""Where it lies below an image's root."""
MOST_BYTES = 4 * 1024 * 1024


class FactsError(Exception):
    """image.json cannot be used; the text says why, and has no full stop."""


class NoFile(FactsError):
    """There is none: no image of ours, or a checkout."""


class NotReadable(FactsError):
    """It cannot be read, or is no JSON."""


class NotAnObject(FactsError):
    """It is JSON, and no object."""


class WrongFact(FactsError):
    """One of its keys holds what it must not."""


@dataclass(frozen=True)
class CaptureBug:
    """The bug of some ROCm releases that lets another thread end a graph capture."""

    here: bool
    """Whether the image's ROCm release is in the advisory's range."""
    free_from: str | None
    """The ROCm release from which a base is free of it, where the advisory names one."""
    reference: str | None = None
    """The public report that the advisory names first."""


@dataclass(frozen=True)
class Facts:
    """What image.json says; without arguments, what an image without one says."""

    cell: str | None = None
    gfx: str | None = None
    rocm: str | None = None
    server: str | None = None
    """The inference server that it holds: a name of image_servers.SERVERS."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the server and of what is built for it: Python distribution -> version."""
    packages: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    capture_guard: bool | None = None
    capture_bug: CaptureBug | None = None
    hip_builds: tuple[HipBuild, ...] = ()
    supported_until: datetime.date | None = None
    """The last day on which whoever makes its base mends that, where its publisher named one."""
    warnings: Mapping[str, str] = field(default_factory=dict)
    """Advisory -> what to say of it when the image starts."""
    whole: Mapping[str, object] = field(default_factory=dict)
    """All of it, with the keys that have no name here."""

    @property
    def server_version(self) -> str | None:
        """Which release of its server it holds; None where it does not say."""
        server = server_of(self.server)
        return self.versions.get(server.distributions.get(server.name, "")) or None


def read(path: Path) -> Facts:
    """The facts of one file. Raises NoFile, NotReadable, NotAnObject or WrongFact."""
    try:
        whole = document_of(path, MOST_BYTES)
    except FileNotFoundError:
        raise NoFile(f"there is no {path}") from None
    except (OSError, ValueError) as error:
        raise NotReadable(f"{path} cannot be read as JSON: {error}") from None
    try:
        return of_object(whole)
    except FactsError as error:
        raise type(error)(f"{path}: {error}") from None


def read_or_empty(path: Path) -> Facts:
    """The facts of one file, none where it cannot be used: for what goes on without them."""
    try:
        return read(path)
    except FactsError:
        return Facts()


def of_object(whole: object) -> Facts:
    """The facts of what was read as JSON. Raises NotAnObject or WrongFact."""
    if not isinstance(whole, dict):
        raise NotAnObject("it is no JSON object")
    bug = _value(whole, "capture_bug", dict, "an object")
    return Facts(
        cell=_text(whole, "cell"),
        gfx=_text(whole, "gfx"),
        rocm=_release(whole, "rocm"),
        server=_server(whole),
        versions=_texts(whole, "versions"),
        packages=_texts(whole, "packages"),
        env=_texts(whole, "env"),
        capture_guard=_value(whole, "capture_guard", bool, "true or false"),
        capture_bug=CaptureBug(
            here=_value(bug, "here", bool, "true or false") or False,
            free_from=_text(bug, "free_from"),
            reference=_text(bug, "reference"),
        )
        if bug
        else None,
        hip_builds=tuple(_hip_builds(whole)),
        supported_until=_day(whole, "supported_until"),
        warnings={
            _text(entry, "id") or "": _text(entry, "text") or ""
            for entry in _objects(whole, "warnings")
        },
        whole=whole,
    )


def _server(whole: Mapping[str, object]) -> str | None:
    name = _text(whole, "server")
    if name is not None and name not in SERVERS:
        raise WrongFact(f'"server" is {json.dumps(name)[:80]}, not one of {", ".join(SERVERS)}')
    return name


def _value(whole: Mapping[str, object], key: str, kind: type, meant: str) -> Any:
    value = whole.get(key)
    if value is not None and not isinstance(value, kind):
        raise WrongFact(f'"{key}" is {json.dumps(value)[:80]}, not {meant}')
    return value


def _text(whole: Mapping[str, object], key: str) -> str | None:
    return _value(whole, key, str, "a text") or None


def _release(whole: Mapping[str, object], key: str) -> str | None:
    text = _text(whole, key)
    try:
        if text is not None:
            release_of(text)
    except ValueError:
        raise WrongFact(f'"{key}" is {json.dumps(text)[:80]}, not a release like 7.2.1') from None
    return text


def _day(whole: Mapping[str, object], key: str) -> datetime.date | None:
    text = _text(whole, key)
    try:
        return None if text is None else datetime.date.fromisoformat(text)
    except ValueError:
        raise WrongFact(f'"{key}" is {json.dumps(text)[:80]}, not a day like 2026-11-24') from None


def _texts(whole: Mapping[str, object], key: str) -> dict[str, str]:
    values = _value(whole, key, dict, "an object") or {}
    return {name: _text(values, name) or "" for name in values}


def _objects(whole: Mapping[str, object], key: str) -> Iterator[dict[str, object]]:
    for entry in _value(whole, key, list, "a list") or ():
        if not isinstance(entry, dict):
            raise WrongFact(f'"{key}" holds {json.dumps(entry)[:80]}, not an object')
        yield entry


def _hip_builds(whole: Mapping[str, object]) -> Iterator[HipBuild]:
    for entry in _objects(whole, "hip_builds"):
        try:
            yield HipBuild.of(*(_text(entry, key) or "" for key in ("hip", "first", "last")))
        except ValueError:
            said = json.dumps(entry)[:80]
            raise WrongFact(f'"hip_builds" holds {said}, which names no releases') from None
