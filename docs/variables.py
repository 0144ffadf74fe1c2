"""Writes the tables of docs/variables.md below its mark, from the options of all verbs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from rocm_images.cli.main import main
from rocm_images.cli.variables import OF_ONE, OF_OPTIONS, PREFIX, TYPED, variable_of

PAGE = PROJECT / "docs" / "variables.md"
MARK = "<!-- docs/variables.py -->\n"
MOST_NAMED = 10
"""Verbs in a cell of the table."""


def verbs(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Option]]:
    """Every option of every verb, with the verb's name."""
    for name, verb in group.commands.items():
        if isinstance(verb, click.Group):
            yield from verbs(verb, f"{name} ")
        for option in verb.params:
            if isinstance(option, click.Option):
                yield f"{above}{name}", option


def _listed(names: list[str]) -> str:
    if len(names) > MOST_NAMED:
        return "every verb that has it"
    return ", ".join(f"`{name}`" for name in names) or "-"


def rows() -> Iterator[str]:
    """A row for each variable: its option, the verbs that take several values, and the others."""
    yield "| variable | option | verbs that take several | verbs that take one |"
    yield "|---|---|---|---|"
    every = list(verbs(main))
    for word, short in sorted(OF_OPTIONS.items(), key=lambda item: item[1]):
        those = [(verb, option) for verb, option in every if word in option.opts]
        of_one = [verb for verb, options in OF_ONE.items() if word in options]
        several = [verb for verb, option in those if option.multiple and verb not in of_one]
        one = [verb for verb, option in those if not option.multiple] + of_one
        option = those[0][1]
        names = " or ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
        yield f"| `{PREFIX}{short}` | {names} | {_listed(several)} | {_listed(one)} |"


def unread() -> Iterator[str]:
    """A row for each option that is typed alone, and why."""
    yield "| refused | type | why |"
    yield "|---|---|---|"
    for word, why in TYPED.items():
        yield f"| `{variable_of(word)}` | `{word}` | {why} |"


def page(head: str) -> str:
    """The whole page: what is written by hand, to the mark, and what is made."""
    made = [*rows(), "\n## What has none\n", *unread(), ""]
    return "\n".join([head.partition(MARK)[0] + MARK, *made])


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
