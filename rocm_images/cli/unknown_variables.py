"""Warns of variables that are named as ours are, and that nothing reads: a slip builds everything.

The option of a name with a slip has its default, which is often all there is.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping

import click

from rocm_images import telling
from rocm_images.cli.variables import OF_OPTIONS, PREFIX, TYPED, variable_of
from rocm_images.telling import PROGRAM

OF_OTHERS = frozenset({"IMAGE_ID", "RUN", "SKIP_PREFLIGHT", "TEST_RUN"})
"""Those of containers, of the children of this program, and of its tests."""
_OF_OPTIONS = frozenset(OF_OPTIONS.values())
_KNOWN = _OF_OPTIONS | OF_OTHERS | {variable_of(word).removeprefix(PREFIX) for word in TYPED}


def unknown(environment: Mapping[str, str]) -> list[str]:
    """What is wrong with each that is set and that nothing reads, with a guess of what is meant."""
    found = []
    for name in sorted(environment):
        rest = name.removeprefix(PREFIX)
        if not environment[name] or rest in (name, *_KNOWN):
            continue
        meant = difflib.get_close_matches(rest, sorted(_OF_OPTIONS), n=1)
        hint = f"did you mean {PREFIX}{meant[0]}? " if meant else ""
        found.append(
            f"nothing reads the variable {telling.quoted(name)}: {hint}docs/variables.md has those "
            "that are read"
        )
    return found


def warn_of_unknown(verb: click.Command, environment: Mapping[str, str]) -> None:
    """Has a verb say it when it is called, once its -q and -v are known."""
    own = verb.callback
    if own is None:
        return

    @functools.wraps(own)
    def called(*arguments: object, **options: object) -> object:
        for sentence in unknown(environment):
            telling.step(f"{PROGRAM}: warning: {sentence}")
        return own(*arguments, **options)

    verb.callback = called
