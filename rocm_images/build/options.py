"""Reads the options of `build` that are part of a build id: named contexts, build arguments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rocm_images.errors import InputError, closest
from rocm_images.masking import masked
from rocm_images.plan.cells import Cell


def parse_contexts(contexts: Sequence[str], cells: Sequence[Cell]) -> dict[str, str]:
    """`--context NAME=SOURCE` texts by name.

    Raises:
        InputError: one is malformed, given twice, or names nothing that a chosen cell uses;
            BuildKit itself would ignore a misspelt name without a word.
    """
    known = {name for cell in cells for name in (cell.base_image, *cell.pins)}
    parsed: dict[str, str] = {}
    for text in contexts:
        name, separator, source = text.partition("=")
        if not (name and separator and source):
            raise InputError(f"--context {text!r} is not NAME=SOURCE")
        if name not in known:
            raise InputError(f"--context {name!r} replaces nothing: {closest(name, known)}")
        if name in parsed:
            raise InputError(f"--context {name!r} is given twice")
        if masked(source) != source:
            # Not shown: this sentence ends in logs as well.
            raise InputError(
                f"--context {name}: its address holds credentials, which would end in logs, in "
                "process lists and in the image's provenance: fetch it yourself and name the folder"
            )
        if "://" not in source and not source.startswith("git@") and not Path(source).is_dir():
            raise InputError(
                f"--context {name}: {source!r} is no folder, nor an address "
                "(https://..., docker-image://..., oci-layout://...)"
            )
        parsed[name] = source
    return parsed


def parse_build_args(texts: Sequence[str], dockerfiles: Sequence[str]) -> dict[str, str]:
    """`--build-arg NAME=VALUE` texts by name.

    Raises:
        InputError: one is malformed, given twice, holds credentials, or is declared by no
            Dockerfile: BuildKit itself would drop it (sglang#35088).
    """
    known = {name for text in dockerfiles for name in re.findall(r"^ARG (\w+)", text, re.MULTILINE)}
    parsed: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not (name and separator):
            raise InputError(f"--build-arg {text!r} is not NAME=VALUE")
        if name not in known:
            raise InputError(f"--build-arg {name!r} is used by no stage: {closest(name, known)}")
        if name in parsed:
            raise InputError(f"--build-arg {name!r} is given twice")
        if masked(value) != value:
            raise InputError(
                f"--build-arg {name}: its value holds credentials, which would end in the image's "
                "history, in logs and in process lists: give them by `build --pip-config`, or as a "
                "proxy by its variable"
            )
        parsed[name] = value
    return parsed
