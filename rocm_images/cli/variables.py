"""The variables of options: what a site sets once, and what that means to a verb for one thing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from rocm_images import telling
from rocm_images.errors import InputError, RocmImagesError, closest

if TYPE_CHECKING:
    from rocm_images.plan.cells import Cell
    from rocm_images.plan.selection import Choice

OF_OPTIONS = {
    "--arch": "ARCH",
    "--attempts": "ATTEMPTS",
    "--base": "BASE",
    "--builder": "BUILDER",
    "--ca-bundle": "CA_BUNDLE",
    "--cache": "CACHE",
    "--catalogue": "CATALOGUE",
    "--channel": "CHANNEL",
    "--compression": "COMPRESSION",
    "--context": "CONTEXT",
    "--identity": "IDENTITY",
    "--issuer": "ISSUER",
    "--jobs": "JOBS",
    "--key": "PUBLIC_KEY",
    "--matrix": "MATRIX",
    "--mend-catalogue": "MEND_CATALOGUE",
    "--model-cache": "MODEL_CACHE",
    "--network": "NETWORK",
    "--pip-config": "PIP_CONFIG",
    "--recompress-base": "RECOMPRESS_BASE",
    "--registry": "REGISTRY",
    "--server": "SERVER",
    "--sign-key": "SIGNING_KEY",
    "--wait": "WAIT",
}
"""What a site sets once, with the variable that says it to every verb. What one call is about, as
an image, a file to write, or what is only looked at, is typed."""
TYPED = {
    "--keyless": "who signs so leaves an entry in a public log, which nobody can take back, under "
    "the identity that is at hand: a person's, in a shell",
    "--rehearse": "a run would end well that built and tested stand-ins alone: in a CI it would be "
    "green and prove nothing",
}
"""What has no variable, and why: a verb that takes it refuses one that is set."""
PREFIX = "ROCM_IMAGES_"
# All else may be of this machine, as a scheme that buildx does not know: it looks for a folder.
_OF_A_SERVER = ("https://", "http://", "ssh://", "git://", "git@", "docker-image://")
_BUILDS_OR_PUBLISHES = ("build", "push", "publish")
_ALL = "all"
_HEARD = f"{__name__}.heard"


def variable_of(word: str) -> str:
    """What the variable of an option is called, or would be: of `--recompress-base`, say."""
    return PREFIX + OF_OPTIONS.get(word, word.removeprefix("--").replace("-", "_").upper())


def set_variables(verb: click.Command) -> None:
    """Gives the options of a verb their variables.

    Of an option that takes one value, a variable with several, or `all`, is for other verbs: it
    says nothing here.
    """
    for option in verb.params:
        for name in set(option.opts) & set(OF_OPTIONS):
            if isinstance(option, click.Option):
                option.envvar = variable_of(name)
                option.show_envvar = True
                option.callback = _heard(option.callback, chooses=name in CHOOSING)
        if isinstance(option, click.Option) and option.opts[0] in TYPED:
            option.callback = _typed_alone(option.callback)


CHOOSING = ("--server", "--arch", "--base")
"""Options that choose cells: where a verb takes one of each, their variables may name several."""
OF_ONE = {
    "bundle": ("--server",),
    "explain": CHOOSING,
    "mirror": ("--server",),
    "publish --from": ("--server",),
    "rollback": ("--server",),
}
"""Verbs that are about one cell or one repository, with the options that choose it: they can be
typed several times, which says what is refused."""


def only_one(choice: Choice, verb: str, *, tell: Callable[[str], None]) -> Choice:
    """The choice of a verb that is about one thing, without what a variable says of several.

    Args:
        choice: of `choice_options` or `server_option`.
        verb: its name in OF_ONE.
        tell: what to say it with.
    """
    context = click.get_current_context()
    options = {one.name: one for one in context.command.params if isinstance(one, click.Option)}
    unsaid: dict[str, Any] = {}
    fields = dict(zip(CHOOSING, ("servers", "archs", "bases"), strict=True))
    for name in (fields[option] for option in OF_ONE[verb]):
        from_variable = context.get_parameter_source(name) is ParameterSource.ENVIRONMENT
        if from_variable and _are_several(getattr(choice, name)):
            option = options[name]
            _heard_of(context)[str(option.envvar)] = (option, True)
            tell(f"note: {_several(option)}: the default counts; {option.opts[0]} chooses another.")
            unsaid[name] = ()
    return replace(choice, **unsaid)


def contexts_for(
    contexts: tuple[str, ...], cells: Sequence[Cell], chosen: Sequence[Cell], *, rehearsed: bool
) -> tuple[str, ...]:
    """The `--context` texts of a call: of those in the variable, a site's mirrors, what is meant.

    A name of which only other cells have something is theirs. What a rehearsal is built from is
    never replaced. What replaces something is said, also with -q where it is built or published.

    Args:
        contexts: as typed, or from the variable.
        cells: all of the matrix.
        chosen: those of this call.
        rehearsed: whether it is a rehearsal.

    Raises:
        InputError: the variable names what is of this machine alone, a folder or an image layout,
            which a build would go on with once forgotten.
    """
    context = click.get_current_context(silent=True)
    if not context or context.get_parameter_source("contexts") is not ParameterSource.ENVIRONMENT:
        return contexts
    variable = variable_of("--context")
    if rehearsed:
        telling.decided(f"{variable} replaces nothing in a rehearsal")
        return ()
    everywhere, here = (
        {name for cell in those for name in (cell.base_image, *cell.pins)}
        for those in (cells, chosen)
    )
    meant = []
    for text in contexts:
        name, separator, source = text.partition("=")
        if separator and not source.startswith(_OF_A_SERVER):
            raise InputError(
                f"--context {name}: {source!r} is no server's address (https://..., git@..., "
                f"docker-image://...), and {variable} is for a site's mirrors: type what is of "
                "this machine in the call that is to build from it"
            )
        if separator and name not in everywhere:
            hint = closest(name, everywhere)
            telling.step(f"note: {variable}: {name!r} is nothing of this matrix: {hint}")
        elif name in here or not separator:
            meant.append(text)
    if meant:
        names = ", ".join(text.partition("=")[0] for text in meant)
        tell = telling.failure if context.command.name in _BUILDS_OR_PUBLISHES else telling.step
        tell(f"note: {variable} replaces {names}")
    return tuple(meant)


def name_variables(error: RocmImagesError, context: click.Context) -> None:
    """Adds to a sentence about what a variable says which variable that is.

    It is about one where it names its option, or quotes its value.
    """
    text = str(error)
    if not error.args or error.args[0] != text:
        return
    said = []
    for variable, (option, several) in _heard_of(context).items():
        names = [*option.opts, *option.secondary_opts]
        words = [repr(word) for word in _words(variable)]
        addresses = [word for word in _words(variable) if re.search("[0-9/.].", word)]
        is_named = any(_stands_in(text, word) for word in (*names, *addresses))
        if variable not in text and (is_named or any(word in text for word in words)):
            said.append(_several(option) if several else f"{names[0]} is from {variable}")
    if said:
        space = "\n" if "\n" in text else " "
        error.args = (f"{text}{space}({'; '.join(said)})",)


def _heard(own: Any, *, chooses: bool) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback that takes down what variables say, before what is the option's own."""

    def callback(context: click.Context, option: click.Parameter, value: Any) -> Any:
        assert isinstance(option, click.Option)
        if context.get_parameter_source(str(option.name)) is ParameterSource.ENVIRONMENT:
            several = chooses and isinstance(value, str) and _are_several(value.split())
            _heard_of(context)[str(option.envvar)] = (option, several)
            if several:
                telling.decided(_several(option))
                value = option.get_default(context, call=True)
        return own(context, option, value) if own else value

    return callback


def _typed_alone(own: Any) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback that refuses a variable of an option that is to be typed."""

    def callback(context: click.Context, option: click.Parameter, value: Any) -> Any:
        word = option.opts[0]
        variable = variable_of(word)
        typed = context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
        if os.environ.get(variable) and not typed and not context.resilient_parsing:
            raise InputError(
                f"{variable} is set, and no verb goes by it: {TYPED[word]}. Type {word} where it "
                f"is meant, or unset {variable}"
            )
        return own(context, option, value) if own else value

    return callback


def _heard_of(context: click.Context) -> dict[str, tuple[click.Option, bool]]:
    """By variable, the option that it spoke for in this call, and whether it named several."""
    found: dict[str, tuple[click.Option, bool]] = context.meta.setdefault(_HEARD, {})
    return found


def _are_several(values: Sequence[str]) -> bool:
    return len({*values}) != 1 or _ALL in values


def _several(option: click.Option) -> str:
    return f"{option.envvar} names several, which is not for this verb"


def _words(variable: str) -> list[str]:
    text = os.environ.get(variable, "")
    return list(dict.fromkeys([text, *text.split()]))


def _stands_in(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", text) is not None
