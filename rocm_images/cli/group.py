"""The group of verbs: what all of them have, and how they are shown."""

from __future__ import annotations

import os
import re
import shlex
from itertools import takewhile
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from rocm_images import telling
from rocm_images.cli.guide import VERBS, examples_of, over_lines
from rocm_images.cli.unknown_variables import warn_of_unknown
from rocm_images.cli.variables import name_variables, set_variables
from rocm_images.errors import (
    EXIT_CODE_MEANINGS,
    InputError,
    RegistryUnanswered,
    RocmImagesError,
)
from rocm_images.telling import COMMAND, PROGRAM, Volume

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.shell_completion import CompletionItem

DEFAULT_VERB = "build"
GONE = {"inventory": "sbom"}
"""Verbs of earlier versions, and which took the place of each."""
_WITHOUT_VERB = f"{__name__}.without_verb"
VOLUME_FLAGS = ("-v", "--verbose", "-q", "--quiet")


class Verbs(click.Group):
    """A group in which options without a verb belong to `build`, and each verb has -v and -q."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Gives the verb, and verbs below it, the options that all have, and their variables."""
        super().add_command(cmd, name)
        for verb in (cmd, *(cmd.commands.values() if isinstance(cmd, click.Group) else ())):
            volume_options(verb)
            set_variables(verb)
            if not isinstance(verb, click.Group):
                warn_of_unknown(verb, os.environ)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb that is called, whose help has its examples."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            examples = [f"{PROGRAM} {one}" for one in examples_of(cmd_name)]
            lines = [f"  {line}" for one in examples for line in over_lines(one)]
            command.epilog = "\b\n" + "\n".join(("Examples:", *lines))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that is called.

        Raises:
            InputError: it is one of an earlier version; says which took its place.
            UsageError: there is none.
        """
        instead = GONE.get(args[0])
        if instead and not ctx.resilient_parsing:
            raise InputError(
                f"`{args[0]}` is gone, and `{instead}` took its place: `{COMMAND} {instead} --help`"
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Call the verb; add to an error of which option or variable it is."""
        given = ctx.meta.get(_WITHOUT_VERB, ())
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            # `--rehearse plan`: the options went to `build`, which takes no argument.
            said = re.search(r"unexpected extra arguments? \((.*)\)$", error.message)
            verb = (
                next((word for word in said[1].split() if word in self.commands), "")
                if said
                else ""
            )
            if verb not in given:
                raise
            at = given.index(verb)
            meant = shlex.join((verb, *given[:at], *given[at + 1 :]))
            raise click.UsageError(
                f"{error.message}: the verb stands first: {COMMAND} {meant}", error.ctx
            ) from None
        except RegistryUnanswered as error:
            verb = self.commands[str(ctx.invoked_subcommand)]
            named = " and ".join(_naming_registries(verb)) or "its name"
            error.args = (f"{error}: look at {named}, or run again when it answers",)
            raise
        except RocmImagesError as error:
            name_variables(error, ctx)
            raise

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the verb `build` before options that stand alone."""
        volume = list(takewhile(VOLUME_FLAGS.__contains__, args))
        rest = args[len(volume) :]
        if ctx.resilient_parsing and not rest:
            # A shell completes the verb itself.
            return super().parse_args(ctx, args)
        if not rest or (rest[0].startswith("-") and rest[0] not in ("--help", "-h", "--version")):
            ctx.meta[_WITHOUT_VERB] = tuple(args)
            return super().parse_args(ctx, [DEFAULT_VERB, *args])
        # `-q plan` is `plan -q`.
        return super().parse_args(ctx, [rest[0], *volume, *rest[1:]])

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Shows the verbs by what they are for, each with its first sentence, whole."""
        longest = max(map(len, self.commands))
        for title, verbs in VERBS.items():
            shown = [(name, self.commands[name].get_short_help_str(200)) for name in verbs]
            with formatter.section(title):
                formatter.write_dl([(name.ljust(longest), sentence) for name, sentence in shown])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Completes the options of `build`, too, where no verb is typed."""
        found = super().shell_complete(ctx, incomplete)
        return found + self.commands[DEFAULT_VERB].shell_complete(ctx, incomplete)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Shows the options of `build`, and the other verbs."""
        build = self.commands[DEFAULT_VERB]
        with formatter.section("Options of `build`, the verb when none is given"):
            records = [param.get_help_record(ctx) for param in build.get_params(ctx)]
            formatter.write_dl([record for record in records if record])
        self.format_commands(ctx, formatter)

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Shows what the exit codes mean."""
        with formatter.section("Exit codes"):
            formatter.write_dl(
                [(str(int(code)), meaning) for code, meaning in EXIT_CODE_MEANINGS.items()]
            )


_REGISTRIES = ("registry", "registries", "to", "missing_from")
"""Parameters that name a registry which is asked."""


def _naming_registries(verb: click.Command) -> Iterator[str]:
    for option in verb.params:
        if option.name in _REGISTRIES:
            yield option.opts[0] + (f" (or {option.envvar})" if option.envvar else "")


def _louder_or_quieter(_: click.Context, option: click.Parameter, given: bool, /) -> None:
    if not given:
        return
    asked = Volume.QUIET if option.name == "quiet" else Volume.VERBOSE
    if telling.volume() not in (Volume.NORMAL, asked):
        raise InputError("--quiet and --verbose contradict each other: leave out either")
    telling.set_volume(asked)


def volume_options(verb: click.Command) -> None:
    """Adds -v and -q, which act on the whole program."""
    for flags, what in (
        (VOLUME_FLAGS[:2], "Also say what is decided, and from what: files, engine, images."),
        (VOLUME_FLAGS[2:], "Print only failures and what was asked for, as the final table."),
    ):
        verb.params.append(
            click.Option(
                flags, is_flag=True, expose_value=False, callback=_louder_or_quieter, help=what
            )
        )


def typed(*names: str) -> list[str]:
    """Those options, as they are written, of these parameters that stand on the command line.

    A variable of the environment is for many verbs, and so no contradiction in one of them.
    """
    context = click.get_current_context()
    return [
        max(one.opts, key=lambda word: word.startswith("--"))
        for one in context.command.params
        if one.name in names
        and context.get_parameter_source(one.name) is ParameterSource.COMMANDLINE
    ]
