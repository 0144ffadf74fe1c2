"""The verbs about images that an engine has already: test them, probe any, show their layers."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rocm_images.build.site import Site
from rocm_images.cli.group import typed
from rocm_images.cli.layers_asked import LayersAsked, layers_options
from rocm_images.cli.options import (
    choice_options,
    context_option,
    jobs_option,
    load,
    matrix_at_hand,
    matrix_option,
    rehearse_option,
    wait_option,
)
from rocm_images.cli.variables import contexts_for
from rocm_images.errors import InputError
from rocm_images.publishing.options import channel_option, trust_options, where_options
from rocm_images.registry.address import RegistryAddress

if TYPE_CHECKING:
    from rocm_images.plan.selection import Choice

_OF_A_REGISTRY = (
    *("registry", "ca_bundle", "attempts", "channel", "key", "identity", "issuer", "contexts"),
    *("compression", "recompress_base", "as_json"),
)
"""What `sizes` takes of a registry alone."""


@click.command()
@matrix_option
@choice_options
@jobs_option
@click.option(
    "--image", metavar="REF", help="Test this image, whatever its tag; its labels name its cell."
)
@click.option(
    "--serve",
    is_flag=True,
    help="Start the server, too, where there is a GPU: docs/serve.md.",
)
@click.option(
    "--emulator",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True),
    metavar="PROGRAM",
    help="Run the graph probe under this program of another emulator: docs/emulation.md.",
)
@wait_option
@rehearse_option
def smoke(
    matrix_path: Path,
    choice: Choice,
    jobs: int,
    image: str | None,
    serve: bool,
    emulator: Path | None,
    site: Site,
) -> None:
    """Test images that the engine already has, from inside.

    Without a GPU of its gfx the image's own HIP runtime is tested on emulated ones:
    docs/emulation.md.
    """
    from rocm_images.build.run import test_images

    matrix, cells = load(matrix_path)
    if image and typed("servers", "archs", "bases"):
        raise InputError("--image names one image: leave out --server, --arch and --base")
    if emulator and not os.access(emulator, os.X_OK):
        raise InputError(f"--emulator {emulator} is no program: make it executable")
    if emulator and serve:
        raise InputError("--serve needs a GPU, and --emulator stands in for one: leave out either")
    chosen = () if image else choice.of(matrix, cells)
    code = test_images(
        matrix_path,
        cells,
        chosen,
        site,
        image=image,
        jobs=jobs,
        serve=serve,
        program=emulator,
    )
    sys.exit(code)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("image")
@click.option(
    *("--arch", "--gfx", "arch"),
    default="942",
    show_default=True,
    help="The GPUs' arch, as 942, gfx942 or MI300X.",
)
@click.option("--gpus", type=click.IntRange(1, 16), default=2, show_default=True, help="How many.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@matrix_option
@rehearse_option
def probe(
    image: str,
    arch: str,
    gpus: int,
    arguments: tuple[str, ...],
    matrix_path: Path,
    site: Site,
) -> None:
    """Run graph-probe in any IMAGE with a HIP runtime, on emulated GPUs: docs/emulation.md.

    ARGUMENTS are graph-probe's.  [default: capture, then replay]
    """
    from rocm_images.engine.layers import found_image
    from rocm_images.plan.selection import arch_of
    from rocm_images.smoke.any_image import probe_image

    # An image of anybody's, probed in any folder: what is known of HIP is the program's.
    matrix = matrix_at_hand(matrix_path)
    found = matrix.archs.get(arch_of(arch, matrix))
    gfx = found.gfx if found else arch
    engine = site.engine_of_typed()
    with closing(engine.client()) as client:
        found_image(client, image)
    site.prepare_emulator(engine)
    sys.exit(probe_image(engine, image, arguments, matrix, gfx=gfx, gpus=gpus))


@click.command()
@matrix_option
@choice_options
@where_options
@channel_option
@trust_options
@context_option
@layers_options
@click.option("--json", "as_json", is_flag=True, help="Print one object for machines.")
@rehearse_option
def sizes(
    matrix_path: Path,
    choice: Choice,
    registry: RegistryAddress | None,
    ca_bundle: Path | None,
    attempts: int,
    channel: str,
    key: str | None,
    identity: str | None,
    issuer: str | None,
    contexts: tuple[str, ...],
    layers: LayersAsked,
    as_json: bool,
    site: Site,
) -> None:
    """Show the layers of images: size, stage, and what archs share.

    Of the engine, unpacked; with --registry of what that has, compressed, and what a node pulls
    that has the channel's image before, the other arch's, or the base alone: docs/catalogue.md.
    """
    matrix, cells = load(matrix_path)
    matrix = layers.of(matrix)
    chosen = choice.of(matrix, cells)
    given = typed(*_OF_A_REGISTRY)
    # One that is only in the environment, as in a CI, is no reason not to show the engine's.
    if given:
        if registry is None:
            raise InputError(
                f"{given[0]}: is for what a registry has: name the registry with --registry, or "
                "set ROCM_IMAGES_REGISTRY"
            )
        from rocm_images.publishing.registry_sizes import Sizing, as_json_text, as_text
        from rocm_images.registry.trust import trust_of

        trust = trust_of(key, identity, issuer)
        where = (registry, ca_bundle, attempts, channel)
        contexts = contexts_for(contexts, cells, chosen, rehearsed=bool(site.tag_suffix))
        found = Sizing(matrix_path, matrix, chosen, *where, trust, site, contexts).found()
        click.echo(as_json_text(found) if as_json else as_text(found))
        return
    from rocm_images.build.sizes import print_sizes

    print_sizes(matrix, chosen, site)
