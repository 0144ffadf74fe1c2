"""What the verbs have in common: their group, the options of several, and the matrix they name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.core import ParameterSource

from rocm_images import telling, turns
from rocm_images.build.site import site_of
from rocm_images.errors import InputError
from rocm_images.places import INSTALLED, PARTS, PROJECT
from rocm_images.registry.address import RegistryAddress

if TYPE_CHECKING:
    from rocm_images.matrix.schema import Matrix
    from rocm_images.plan.cells import Cell

Verb = TypeVar("Verb", bound=Callable[..., Any])


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

    A run that changes nothing (--check, --dry-run) waits for none.
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


ca_bundle_option = click.option(
    "--ca-bundle",
    type=click.Path(path_type=Path),
    help="Certificates to trust, in builds, of registries and of git servers.  "
    "[default: SSL_CERT_FILE, REQUESTS_CA_BUNDLE or PIP_CERT, where set, of which `lock` "
    "tells neither git nor buildx]",
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
    telling.decided(f"matrix: {matrix_path}, {telling.counted(len(cells), 'cell')}")
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
