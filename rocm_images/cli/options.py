"""What the verbs have in common: their group, the options of several, and the matrix they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rocm_images.build.site import site_of
from rocm_images.errors import EXIT_CODE_MEANINGS
from rocm_images.places import PROJECT
from rocm_images.registry.address import RegistryAddress

if TYPE_CHECKING:
    from rocm_images.matrix.schema import Matrix
    from rocm_images.plan.cells import Cell

DEFAULT_VERB = "build"


class Verbs(click.Group):
    """A group in which options without a verb belong to `build`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the verb `build` before options that stand alone."""
        if not args or (args[0].startswith("-") and args[0] not in ("--help", "-h", "--version")):
            args = [DEFAULT_VERB, *args]
        return super().parse_args(ctx, args)

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


matrix_option = click.option(
    "--matrix",
    "matrix_path",
    type=click.Path(path_type=Path),
    default=PROJECT / "matrix.yaml",
    show_default="matrix.yaml beside build.py",
    help="The matrix file.",
)
arch_option = click.option(
    "--arch", "archs", multiple=True, metavar="ARCH", help="Only this arch; may be repeated."
)
base_option = click.option(
    "--base", "bases", multiple=True, metavar="BASE", help="Only this base; may be repeated."
)
rehearse_option = click.option(
    "--rehearse",
    "site",
    is_flag=True,
    callback=lambda context, option, given: site_of(rehearse=given),
    help="Use stand-ins where the real thing needs a GPU or Docker Hub: docs/rehearsal.md.",
)
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=2,
    show_default=True,
    help="Cells that are worked on at once.",
)


registry_option = click.option(
    "--registry",
    callback=lambda context, option, text: RegistryAddress.parse(text) if text else None,
    metavar="ADDRESS",
    envvar="ROCM_IMAGES_REGISTRY",
    help="[http://]HOST[:PORT][/PATH] of the target registry.  [default: $ROCM_IMAGES_REGISTRY]",
)
context_option = click.option(
    "--context",
    "contexts",
    multiple=True,
    metavar="NAME=SOURCE",
    help="Replace a base image or a source (sglang-src, aiter-src, rustup-src) by a directory, "
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
    help="Certificates to trust, in builds and for the registry.  "
    "[default: SSL_CERT_FILE, REQUESTS_CA_BUNDLE or PIP_CERT, where set]",
)


def load(matrix_path: Path) -> tuple[Matrix, tuple[Cell, ...]]:
    """The matrix that `matrix_option` names, and all of its cells.

    Raises:
        MatrixError: the file cannot be read, or is no matrix.
    """
    from rocm_images.plan.cells import cells_of
    from rocm_images.plan.load import load as loaded

    matrix = loaded(matrix_path)
    return matrix, cells_of(matrix)
