"""The command line: what the verbs of build.py are called, take and print.

Modules that take long to import (docker, jinja2, rich) are imported by the verbs that use them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rocm_images import __version__, telling
from rocm_images.build.site import Site
from rocm_images.catalogue.verbs import catalogue
from rocm_images.ci import verbs as ci_verbs
from rocm_images.cli import images, inputs
from rocm_images.cli.evidence import evidence
from rocm_images.cli.group import Verbs, typed
from rocm_images.cli.guide import MOST_COLUMNS
from rocm_images.cli.layers_asked import LayersAsked, layers_options
from rocm_images.cli.options import (
    build_arg_option,
    ca_bundle_option,
    choice_options,
    context_option,
    jobs_option,
    load,
    matrix_option,
    registry_option,
    rehearse_option,
    wait_option,
)
from rocm_images.cli.variables import contexts_for
from rocm_images.comparing import verbs as comparing
from rocm_images.comparing.sbom_verb import sbom
from rocm_images.deploying import verbs as deploying
from rocm_images.distributing import verbs as distributing
from rocm_images.distributing.prune_verb import prune
from rocm_images.errors import InputError
from rocm_images.publishing import verbs as publishing
from rocm_images.publishing.options import retries_option, signing_options
from rocm_images.registry.address import RegistryAddress
from rocm_images.telling import PROGRAM

if TYPE_CHECKING:
    from rocm_images.plan.selection import Choice
    from rocm_images.registry.place import Who


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": MOST_COLUMNS},
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def main() -> None:
    """Build, test and publish serving images for AMD GPUs from matrix.yaml.

    `build.py --arch 942` builds every cell of that arch and smoke-tests each image.
    """
    # Of this command line alone, where a program runs several.
    telling.set_volume(telling.Volume.NORMAL)


@main.command()
@matrix_option
@choice_options
@jobs_option
@click.option("--builder", metavar="NAME", help="A buildx builder other than the engine's own.")
@context_option
@build_arg_option
@layers_options
@ca_bundle_option
@click.option(
    "--pip-config",
    type=click.Path(path_type=Path),
    help="A pip.conf for the build steps: a mirror, with its credentials.",
)
@click.option(
    "--network",
    type=click.Choice(["default", "host", "none"]),
    help="The network of the build steps.  [default: the engine's, or the host's if it has none]",
)
@click.option("--force", is_flag=True, help="Build and test even what is up to date.")
@click.option(
    "--no-cache",
    is_flag=True,
    help="Run every step of the build anew, as for new packages of the distribution; with --force.",
)
@click.option(
    "--pull",
    is_flag=True,
    help="Ask the registry for the base anew, where matrix.lock does not hold it; with --force.",
)
@registry_option
@retries_option
@click.option(
    "--pull-existing",
    is_flag=True,
    help="Pull and test what --registry has, where the engine has not; else it is left there.",
)
@click.option(
    "--cache",
    metavar="REPOSITORY",
    help="HOST[:PORT]/PATH where the build's steps are taken from, a tag for each cell, where they "
    "are signed; with --sign-key or --keyless they are kept there, too.",
)
@click.option(
    "--no-units",
    is_flag=True,
    help="With --cache: neither take nor keep what was compiled, up to 4 GiB for a cell. For a "
    "machine whose build finds every step in the cache.",
)
@signing_options
@click.option("--no-smoke", is_flag=True, help="Do not test the images after building them.")
@wait_option
@rehearse_option
def build(
    matrix_path: Path,
    choice: Choice,
    jobs: int,
    builder: str | None,
    contexts: tuple[str, ...],
    build_args: tuple[str, ...],
    layers: LayersAsked,
    ca_bundle: Path | None,
    pip_config: Path | None,
    network: str | None,
    force: bool,
    no_cache: bool,
    pull: bool,
    registry: RegistryAddress | None,
    attempts: int,
    pull_existing: bool,
    cache: str | None,
    no_units: bool,
    who: Who,
    no_smoke: bool,
    site: Site,
) -> None:
    """Build the chosen cells and smoke-test each image."""
    from rocm_images.build.run import BuildCommand, build_and_test
    from rocm_images.engine.network import secrets_for

    if pull_existing and not registry:
        raise InputError("--pull-existing pulls from a registry: name it with --registry")
    if no_cache and cache:
        if typed("cache"):
            raise InputError(
                "--no-cache takes no step from anywhere, and --cache does: leave out either"
            )
        cache = None
    if pull and site.tag_suffix:
        raise InputError("--pull: the bases of a rehearsal are made here: leave it out")
    if no_units and not cache:
        raise InputError("--no-units is for what --cache takes and keeps: name its repository too")
    if cache:
        from rocm_images.build.step_cache import checked

        if checked(cache) and not who.is_named:
            raise InputError(
                "--cache takes steps that somebody built: say whose count, with --key or with "
                "--identity and --issuer"
            )
    if registry and not who.is_named:
        if pull_existing or typed("registry"):
            raise InputError(
                "what --registry has counts once it is verified: say whose signatures count, with "
                "--key or with --identity and --issuer"
            )
        telling.decided(f"registry: {registry} is not asked, as nobody's signatures are trusted")
        registry = None
    if cache or registry:
        who.check()
    matrix, cells = load(matrix_path)
    matrix = layers.of(matrix)
    chosen = choice.of(matrix, cells)
    command = BuildCommand(
        jobs=jobs,
        builder=builder,
        contexts=contexts_for(contexts, cells, chosen, rehearsed=bool(site.tag_suffix)),
        build_args=build_args,
        secrets=secrets_for(ca_bundle, pip_config, os.environ),
        network=network,
        smoke=not no_smoke,
        force=force or no_cache or pull,
        no_cache=no_cache,
        pull=pull,
        site=site,
        registry=registry,
        pull_existing=pull_existing,
        attempts=attempts,
        cache=cache,
        units=not no_units,
        who=who,
    )
    sys.exit(build_and_test(matrix_path, matrix, chosen, command))


for verb in (
    *(inputs.plan, inputs.explain, inputs.render, inputs.init, inputs.schema, inputs.lock),
    *(images.smoke, images.probe, images.sizes),
    *(publishing.push, publishing.publish, publishing.rollback),
    *(distributing.pull, distributing.mirror, distributing.bundle, prune),
    *(catalogue, deploying.pick, deploying.run_args, deploying.deploy),
    *(ci_verbs.ci_matrix, ci_verbs.summary, evidence),
    *(comparing.diff, sbom, comparing.release_notes),
):
    main.add_command(verb)


def start() -> None:
    """Run the command line; what it raises says how it failed."""
    main(standalone_mode=False, prog_name=PROGRAM)
