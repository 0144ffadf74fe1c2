"""The verbs of the program and their options, and what a call of one answers."""

from __future__ import annotations

import json

import click
from click.testing import CliRunner, Result

from rocm_images.cli.main import main
from rocm_images.errors import InputError

VERBS = {
    **{name: verb for name, verb in main.commands.items() if not isinstance(verb, click.Group)},
    "evidence verify": main.commands["evidence"].commands["verify"],  # type: ignore[attr-defined]
}
ONE = ("plan", "--json", "--arch", "942", "--base", "7.2.0")
"""Words that plan one cell of the project's matrix."""
IMAGE = "example.org/team/mine:1"
"""One that nobody is asked about."""


def run(*words: str, **variables: str) -> Result:
    return CliRunner().invoke(main, words, env=variables)


def refused(*words: str, **variables: str) -> str:
    """What a call that cannot be meant says."""
    done = run(*words, **variables)
    assert isinstance(done.exception, InputError), done.output
    return str(done.exception)


def build_id(*words: str, **variables: str) -> str:
    """Of the one cell."""
    done = run(*ONE, *words, **variables)
    assert done.exit_code == 0, done.exception
    (cell,) = json.loads(done.stdout)
    return str(cell["build_id"])


def options() -> list[tuple[str, click.Option]]:
    return [
        (verb, option)
        for verb, command in VERBS.items()
        for option in command.params
        if isinstance(option, click.Option)
    ]
