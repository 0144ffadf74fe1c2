"""The shape of evidence: what the pipeline reads of it, and of what an image's programs printed.

An image says this of itself, and a file comes from anywhere: a number may be a text, a name a
command to a terminal. What has this shape can be read without looking twice; keys that only people
read are not named here, and may hold anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError


def _unbroken(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds a character that cannot be printed")
    return text


Text = Annotated[str, AfterValidator(_unbroken)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Rate = Annotated[float, Field(ge=0, lt=1e15, allow_inf_nan=False)]
# As the catalogue has it, where it goes.
Time = Annotated[
    str, Field(pattern=r"^[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}[+-][0-9]{2}:[0-9]{2}$")
]

# Nobody is told what is wrong with a million items.
FIRST = Field(fail_fast=True)


class _Part(BaseModel):
    # Deferred, so that a run that reads no evidence builds no validator for it.
    model_config = ConfigDict(strict=True, extra="allow", defer_build=True)


class _Device(_Part):
    name: Text | None = None
    gfx: Text


class _Runtime(_Part):
    is_stand_in: bool = True
    version_text: Text | None = None
    sha256: Text | None = None


class _Capture(_Part):
    verdict: Text | None = None
    bugs: Annotated[list[Text], FIRST] | None = None


class _Replay(_Part):
    verdict: Text | None = None


class _Judgement(_Part):
    all_reduce: Text
    verdict: Text


class _Rates(_Part):
    eager: Rate
    replay: Rate


class _Batch(_Part):
    tokens_per_second: _Rates


class _Decode(_Part):
    batches: Annotated[list[_Batch], FIRST] | None = None


class Probe(_Part):
    """What `graph-probe run --json` prints."""

    devices: Annotated[list[_Device], FIRST] | None = None
    runtime: _Runtime | None = None
    capture: _Capture | None = None
    replay: _Replay | None = None
    judgement: _Judgement | None = None
    decode: _Decode | None = None


class _Load(_Part):
    tokens_per_second: Rate


class _Run(_Part):
    loads: Annotated[list[_Load], FIRST] = []


class _Size(_Part):
    tensor_parallel: Count
    passed: bool
    graph: _Run = _Run()


class Serve(_Part):
    """What `graph-probe serve --json` prints, or why it was not run."""

    not_run: Text | None = None
    exit_code: int | None = None
    sentence: Text | None = None
    runtime: _Runtime | None = None
    versions: dict[Text, Text] | None = None
    sizes: Annotated[list[_Size], FIRST] | None = None


class Document(BaseModel):
    """The whole of a smoke test's evidence, without its seal."""

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)

    # Not the name `schema`: that is a method of pydantic's models.
    schema_version: Literal[1] = Field(alias="schema")
    cell: Text
    image_id: Text
    level: Literal["static", "stand-in", "emulated", "gpu", "serve"]
    passed: bool
    tests_passed: Count
    tests_failed: Count
    failures: Annotated[list[str], FIRST]
    seconds: Rate
    date: Time
    tests: Text
    probe: Probe | None
    serve: Serve | None = None
    hip_runtime: Text | None = None
    emulator: Text | None = None
    ran_as: Text | None = None


def fits(model: type[BaseModel], document: object) -> bool:
    """Whether a document is of a shape."""
    try:
        model.model_validate(document)
    except (ValidationError, RecursionError):
        return False
    return isinstance(document, Mapping)
