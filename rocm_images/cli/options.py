"""What the verbs have in common: their group, the options of several, and the matrix they name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.core import ParameterSource

from rocm_images import telling, turns
from rocm_images.build.site import site_of
from rocm_images.cli.guide import VERBS, examples_of, over_lines
from rocm_images.errors import EXIT_CODE_MEANINGS, InputError
from rocm_images.places import INSTALLED, PARTS, PROJECT
from rocm_images.registry.address import RegistryAddress
from rocm_images.telling import PROGRAM, Volume

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from rocm_images.matrix.schema import Matrix
    from rocm_images.plan.cells import Cell

Verb = TypeVar("Verb", bound=Callable[..., Any])
DEFAULT_VERB = "build"
VOLUME_FLAGS = ("-v", "--verbose", "-q", "--quiet")


class Verbs(click.Group):
    """A group in which options without a verb belong to `build`, and each verb has -v and -q."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Gives the verb, and verbs below it, the options that all have, and their variables."""
        super().add_command(cmd, name)
        for verb in (cmd, *(cmd.commands.values() if isinstance(cmd, click.Group) else ())):
            volume_options(verb)
            _set_variables(verb)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb that is called, whose help has its examples."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            examples = [f"{PROGRAM} {one}" for one in examples_of(cmd_name)]
            lines = [f"  {line}" for one in examples for line in over_lines(one)]
            command.epilog = "\b\n" + "\n".join(("Examples:", *lines))
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the verb `build` before options that stand alone."""
        volume = list(takewhile(VOLUME_FLAGS.__contains__, args))
        rest = args[len(volume) :]
        if ctx.resilient_parsing and not rest:
            # A shell completes the verb itself.
            return super().parse_args(ctx, args)
        if not rest or (rest[0].startswith("-") and rest[0] not in ("--help", "-h", "--version")):
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


_FROM_ENVIRONMENT = {
    "--arch": "ARCH",
    "--attempts": "ATTEMPTS",
    "--base": "BASE",
    "--builder": "BUILDER",
    "--ca-bundle": "CA_BUNDLE",
    "--cache": "CACHE",
    "--catalogue": "CATALOGUE",
    "--channel": "CHANNEL",
    "--compression": "COMPRESSION",
    "--identity": "IDENTITY",
    "--issuer": "ISSUER",
    "--jobs": "JOBS",
    "--key": "PUBLIC_KEY",
    "--matrix": "MATRIX",
    "--mend-catalogue": "MEND_CATALOGUE",
    "--network": "NETWORK",
    "--pip-config": "PIP_CONFIG",
    "--registry": "REGISTRY",
    "--server": "SERVER",
    "--sign-key": "SIGNING_KEY",
    "--wait": "WAIT",
}
"""What a site sets once, with the variable that says it to every verb. What one call is about, as
an image, a file to write, or what is only looked at, is typed."""


def _set_variables(verb: click.Command) -> None:
    for option in verb.params:
        for name in set(option.opts) & set(_FROM_ENVIRONMENT):
            if isinstance(option, click.Option):
                option.envvar = f"ROCM_IMAGES_{_FROM_ENVIRONMENT[name]}"
                option.show_envvar = True


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


matrix_option = click.option(
    "--matrix",
    "matrix_path",
    type=click.Path(path_type=Path),
    default=PROJECT / "matrix.yaml",
    show_default="matrix.yaml in this folder" if INSTALLED else "matrix.yaml beside build.py",
    help="The matrix file.",
)
server_option = click.option(
    "--server",
    "servers",
    multiple=True,
    metavar="SERVER",
    help="Only this inference server, or `all`; may be repeated.  [default: the matrix's default]",
)


def choice_options(verb: Verb) -> Verb:
    """Adds which cells are meant; the verb gets them as `choice`."""
    for option in (
        click.option(
            *("--base", "--rocm", "bases"),
            multiple=True,
            metavar="VERSION",
            help="Only this ROCm base; may be repeated.",
        ),
        click.option(
            *("--arch", "archs"),
            multiple=True,
            metavar="ARCH",
            help="Only this arch, as 942, gfx942 or MI300X; may be repeated.",
        ),
        server_option,
    ):
        verb = option(verb)

    @functools.wraps(verb)
    def called(
        *, servers: tuple[str, ...], archs: tuple[str, ...], bases: tuple[str, ...], **options: Any
    ) -> Any:
        from rocm_images.plan.selection import Choice

        return verb(choice=Choice(servers, archs, bases), **options)

    return cast(Verb, called)


rehearse_option = click.option(
    "--rehearse",
    "site",
    is_flag=True,
    callback=lambda context, option, given: site_of(rehearse=given),
    help="Use stand-ins where the real thing needs a GPU or Docker Hub: docs/rehearsal.md.",
)
wait_option = click.option(
    "--wait",
    type=click.FloatRange(0),
    metavar="SECONDS",
    expose_value=False,
    callback=lambda context, option, seconds: turns.set_patience(seconds),
    help="How long to wait for another run in this folder that works on the same.  "
    "[default: until it ends]",
)


def one_at_a_time(name: str) -> Callable[[Verb], Verb]:
    """Has runs in one folder of all verbs with this `name` follow each other, and adds --wait.

    A run that writes nothing (--check, --dry-run) waits for none.
    """

    def decorated(verb: Verb) -> Verb:
        @wait_option
        @functools.wraps(verb)
        def called(**options: Any) -> Any:
            if options.get("check") or options.get("dry_run"):
                return verb(**options)
            with turns.held([name], str(click.get_current_context().info_name)):
                return verb(**options)

        return cast(Verb, called)

    return decorated


jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=2,
    show_default=True,
    help="Cells that are worked on at once.",
)


registry_option = click.option(
    "--registry",
    # The variable may name several, for `publish`: the first is the one that all others go by.
    callback=lambda context, option, text: (
        RegistryAddress.parse(
            text.split()[0]
            if context.get_parameter_source(option.name) is ParameterSource.ENVIRONMENT
            else text
        )
        if text and text.split()
        else None
    ),
    metavar="ADDRESS",
    help="[http://]HOST[:PORT][/PATH] of the target registry.",
)
context_option = click.option(
    "--context",
    "contexts",
    multiple=True,
    metavar="NAME=SOURCE",
    help="Replace a base image or a source (NAME-src, as aiter-src) by a directory, "
    "a git address, docker-image://... or oci-layout://...; may be repeated.",
)
build_arg_option = click.option(
    "--build-arg",
    "build_args",
    multiple=True,
    metavar="NAME=VALUE",
    help="A build argument of the Dockerfile: MAX_JOBS, compile jobs at once; may be repeated.",
)


@dataclass(frozen=True)
class LayersAsked:
    """What was typed about the compression of layers; None, where the matrix decides."""

    compression: str | None = None
    recompress_base: bool | None = None

    def of(self, matrix: Matrix) -> Matrix:
        """The matrix with what was typed.

        Raises:
            InputError: it is no compression.
        """
        from pydantic import ValidationError

        from rocm_images.matrix.schema import Layers

        asked = {name: value for name, value in vars(self).items() if value is not None}
        if not asked:
            return matrix
        try:
            layers = Layers.model_validate({**matrix.layers.model_dump(), **asked})
        except ValidationError as error:
            sentence = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise InputError(f"--compression: {sentence}") from None
        return matrix.model_copy(update={"layers": layers})

    @property
    def words(self) -> tuple[str, ...]:
        """The options with which another build.py is asked for the same."""
        words = [f"--compression={self.compression}"] if self.compression else []
        if self.recompress_base is not None:
            words.append("--recompress-base" if self.recompress_base else "--no-recompress-base")
        return tuple(words)


def layers_options(verb: Verb) -> Verb:
    """Adds how layers are compressed; the verb gets it as `layers`."""
    for option in (
        click.option(
            "--recompress-base/--no-recompress-base",
            default=None,
            help="Compress the base's layers so, too. They are then no longer the vendor's, which "
            "nodes may have already.  [default: the matrix's]",
        ),
        click.option(
            "--compression",
            metavar="KIND[:LEVEL]",
            help="Of layers: zstd, or gzip for clients that read nothing else; part of the build "
            "id: docs/layers.md.  [default: the matrix's]",
        ),
    ):
        verb = option(verb)

    @functools.wraps(verb)
    def called(*, compression: str | None, recompress_base: bool | None, **options: Any) -> Any:
        return verb(layers=LayersAsked(compression, recompress_base), **options)

    return cast(Verb, called)


ca_bundle_option = click.option(
    "--ca-bundle",
    type=click.Path(path_type=Path),
    help="Certificates to trust, in builds and for the registry.  "
    "[default: SSL_CERT_FILE, REQUESTS_CA_BUNDLE or PIP_CERT, where set]",
)


def load(matrix_path: Path) -> tuple[Matrix, tuple[Cell, ...]]:
    """The matrix that `matrix_option` names, and all of its cells.

    Raises:
        InputError: it lies in the folder of another project.
        MatrixError: the file cannot be read, or is no matrix.
    """
    # What lies beside it (templates/, build/) is looked for in the folder that one works in.
    if INSTALLED and matrix_path.parent.resolve() != PROJECT:
        raise InputError(
            f"{matrix_path} lies in another folder than this: change to that one, which is its "
            "project, and call rocm-images there"
        )
    from rocm_images.plan.cells import cells_of
    from rocm_images.plan.load import load as loaded

    matrix = loaded(matrix_path)
    cells = cells_of(matrix)
    telling.decided(f"matrix: {matrix_path}, {len(cells)} cells")
    return matrix, cells


def matrix_at_hand(matrix_path: Path) -> Matrix:
    """The matrix that `matrix_option` names; the program's own where none is named, or lies there.

    For what builds nothing, and so needs nothing that lies beside a matrix.

    Raises:
        InputError: the file cannot be read.
        MatrixError: it is no matrix.
    """
    from rocm_images.plan.load import load as loaded

    source = click.get_current_context().get_parameter_source("matrix_path")
    if source is ParameterSource.DEFAULT and not matrix_path.exists():
        matrix_path = PARTS / "matrix.yaml"
    telling.decided(f"matrix: {matrix_path}")
    return loaded(matrix_path)
