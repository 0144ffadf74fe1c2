"""The verbs of the program and their options, and what a call of one answers."""

from __future__ import annotations

import click
from click.testing import CliRunner, Result

from rocm_images.cli.main import main

VERBS = [*main.commands.items()]


def run(*words: str, **variables: str) -> Result:
    return CliRunner().invoke(main, words, env=variables)


def options() -> list[tuple[str, click.Option]]:
    return [
        (verb, option)
        for verb, command in VERBS
        for option in command.params
        if isinstance(option, click.Option)
    ]
