"""The types of matrix.yaml's texts: each says what it accepts, and in a sentence what it does not.

Everything that reaches a Dockerfile, a tag or a label passes through one of these, so that no
text can break out of the instruction, the comment or the name that it is written in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, TypeVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from rocm_images.references import REPOSITORY, ImageName


@dataclass(frozen=True)
class _Checked:
    """A text that passes a check; `pattern` says to JSON Schema the most of it that a pattern can.

    A pattern accepts all that the check accepts, and is one in JavaScript, too.
    """

    check: Callable[[str], str]
    pattern: str

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, object]:
        return {**handler(schema), "pattern": f"^(?:{self.pattern})$"}


class _OneOrMore:
    """Takes one value where a list of them is expected."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_listed, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, object]:
        several = {**handler(schema), "minItems": 1}
        return {"anyOf": [several["items"], several]}


def _listed(value: object) -> object:
    if value == []:
        raise ValueError("this list is empty: add at least one entry")
    return [value] if isinstance(value, dict) else value


Item = TypeVar("Item")
OneOrMore = Annotated[tuple[Item, ...], _OneOrMore()]


def _pattern(pattern: str, sentence: str) -> _Checked:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"{value!r} {sentence}")
        return value

    return _Checked(check, pattern)


def _version(value: str) -> str:
    try:
        Version(value)
    except InvalidVersion:
        raise ValueError(f"{value!r} is not a version: write one like 7.2.0 (PEP 440)") from None
    return value


def _date(value: str) -> str:
    try:
        # A zip archive, and so a wheel, knows no date outside of these years.
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII) and "1980" <= value < "2100":
            date.fromisoformat(value)
            return value
    except ValueError:
        pass
    raise ValueError(f"{value!r} is not a date from 1980 to 2099: write one like 2026-11-24")


def _release(value: str) -> str:
    if not re.fullmatch(r"\d+(\.\d+)+", value):
        raise ValueError(f"{value!r} is not a release: write numbers and dots, like 7.2.0")
    return value


def _range(value: str) -> str:
    try:
        specifiers = SpecifierSet(value)
    except InvalidSpecifier:
        specifiers = SpecifierSet()
    if not list(specifiers):
        raise ValueError(
            f'{value!r} is not a version range: write one like "<7.2.1" or ">=7.1,<7.2.1" (PEP 440)'
        )
    return value


def _image(value: str) -> str:
    name = ImageName.parse(value)
    if not name:
        raise ValueError(f"{value!r} is not an image reference: write NAME:TAG or NAME@sha256:...")
    if not (name.tag or name.digest):
        raise ValueError(f"{value!r} has neither tag nor digest: write NAME:TAG")
    if name.tag == "latest" and not name.digest:
        raise ValueError(f"{value!r} is a moving target: name a tag other than latest")
    return value


def _repository(value: str) -> str:
    if not re.fullmatch(REPOSITORY, value):
        raise ValueError(f"{value!r} is not an image name: write one like NAME-rocm, no tag")
    return value


def _one_line(value: str) -> str:
    """Folds a text to one printable line, so that no text can end a comment it is written in."""
    folded = " ".join(value.split())
    if not folded or not folded.isprintable():
        raise ValueError("write a text of printable characters here")
    return folded


def environment_value(value: str) -> str:
    """Returns the value when it cannot break out of a quoted ENV or LABEL instruction."""
    for character, name in (
        ("\n", "a line break"),
        ("\r", "a line break"),
        ('"', "a double quote"),
        ("'", "a single quote"),
        ("`", "a backquote"),
        ("$", "a dollar sign"),
        ("\\", "a backslash"),
    ):
        if character in value:
            raise ValueError(f"{value!r} holds {name}, which could break out of ENV: remove it")
    if not value.isprintable():
        raise ValueError(f"{value!r} holds a character that cannot be printed: remove it")
    return value


DateText = Annotated[str, _Checked(_date, r"(?:19[89]|20\d)\d-[01]\d-[0-3]\d")]
VersionText = Annotated[str, _Checked(_version, r"\s*[vV]?\d+[-_.+!0-9A-Za-z]*\s*")]
ReleaseText = Annotated[str, _Checked(_version, ""), _Checked(_release, r"\d+(?:\.\d+)+")]
RangeText = Annotated[
    str, _Checked(_range, r"[\s,]*(?:(?:~=|={2,3}|!=|[<>]=?)\s*[^\s,<>=!~]+[\s,]*)+")
]
ImageText = Annotated[str, _Checked(_image, rf"(?!.*:latest$){REPOSITORY}[:@][\w.:@-]+")]
RepositoryText = Annotated[str, _Checked(_repository, REPOSITORY)]
Sentence = Annotated[str, _Checked(_one_line, r"\s*\S[\s\S]*")]
LabelText = Annotated[
    str,
    _Checked(_one_line, ""),
    _Checked(environment_value, r"""(?=\s*\S)[^"'`$\\]+"""),
]
EnvironmentValue = Annotated[str, _Checked(environment_value, r"""[^\n\r"'`$\\]*""")]
# AITER trusts GPU_ARCHS over the GPU that it finds, so it must never stay in an image;
# PATH and the loader's variables belong to the base image.
_RESERVED_NAMES = ("GPU_ARCHS", "PATH", "LD_PRELOAD", "LD_LIBRARY_PATH")


def _not_reserved(value: str) -> str:
    if value in _RESERVED_NAMES:
        raise ValueError(f"{value} must not be set in an image: the recipe or the base decides it")
    return value


_ENVIRONMENT_NAME = r"[A-Z_][A-Z0-9_]{0,127}"
EnvironmentName = Annotated[
    str,
    _pattern(
        _ENVIRONMENT_NAME, "is not a name for an environment variable: use A to Z, 0 to 9 and _"
    ),
    _Checked(_not_reserved, rf"(?!(?:{'|'.join(_RESERVED_NAMES)})$){_ENVIRONMENT_NAME}"),
]
ArchName = Annotated[str, _pattern(r"[0-9a-f]{3,5}", "is not an arch: write its gfx number")]
GfxName = Annotated[str, _pattern(r"gfx[0-9a-f]{3,5}", "is not a gfx name: write gfx942, say")]
Word = Annotated[
    str, _pattern(r"[a-z0-9]+(?:-[a-z0-9]+)*", "is not a name: use a to z, 0 to 9 and -")
]
ExtraName = Annotated[
    str, _pattern(r"[a-z0-9]+(?:[-_.]+[a-z0-9]+)*", "is not an extra of a Python package")
]
Url = Annotated[
    str,
    _pattern(
        r"https://[\w.-]+(?::\d+)?(?:/[\w.~+%@-]*)*",
        "is not a plain https address: no quotes, spaces, queries or fragments",
    ),
]
Reference = Annotated[
    str,
    _pattern(
        r"https://[\w./#?=&%~+-]+|[\w.-]+(?:/[\w.-]+)?#\d+|[\w./-]+@[0-9a-f]{7,40}",
        "is not a reference: write an https address, owner/repository#number or repository#number",
    ),
]
GitRef = Annotated[
    str,
    _pattern(r"(?!.*\.\.)[A-Za-z0-9][\w./+-]{0,127}", "is not a git tag, branch or commit"),
]
TagSuffix = Annotated[
    str, _pattern(r"(?:-[a-z0-9.]{1,30})?", "is not the end of a tag: write -preview, say")
]
CompressionText = Annotated[
    str,
    _pattern(
        r"zstd(?::(?:[1-9]|1\d|2[0-2]))?|gzip(?::[1-9])?",
        "is no compression of layers: write zstd or gzip, or one with a level, like zstd:3",
    ),
]
SpdxText = Annotated[str, _pattern(r"[\w.() +-]+", "is not an SPDX licence expression")]
SizeText = Annotated[
    str,
    _pattern(
        r"[1-9]\d{0,5}(?:\.\d{1,3})? (?:kB|MB|GB)",
        "is not a size: write one like 500 MB or 1.5 GB, of 1000 each, as registries have it",
    ),
]
ArgumentText = Annotated[
    str, _pattern(r"[ -~]{1,1000}", "is no argument of a command: use printable ASCII, on one line")
]
_SIGNING = ("COSIGN_", "SIGSTORE_", "ACTIONS_ID_TOKEN_", "ACTIONS_RUNTIME_", "ROCM_IMAGES_")


def _signs_nothing(value: str) -> str:
    if value.startswith(_SIGNING):
        raise ValueError(f"{value} is for who signs, and no scanner is given it: take it out")
    return value


_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
ScannerVariable = Annotated[
    str,
    _pattern(_VARIABLE, "is not a name for an environment variable: use letters, 0 to 9 and _"),
    _Checked(_signs_nothing, rf"(?!(?:{'|'.join(_SIGNING)})){_VARIABLE}"),
]
FindingId = Annotated[
    str,
    _pattern(
        r"[A-Za-z][A-Za-z0-9]*(?:[-.:_][A-Za-z0-9]+)+",
        "is not the id of a vulnerability: write it as the scanner does, like CVE-2026-1234",
    ),
]
Sha256 = Annotated[str, _pattern(r"[0-9a-f]{64}", "is not a SHA-256 digest of 64 hex digits")]
_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9}


def bytes_of(size: str) -> int:
    """The bytes of a `SizeText`."""
    number, _, unit = size.partition(" ")
    return int(Decimal(number) * _UNITS[unit])
