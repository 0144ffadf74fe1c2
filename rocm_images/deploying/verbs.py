"""The verbs for those who deploy: pick an image, run it, and write what a cluster needs for it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import click

from rocm_images import telling
from rocm_images.catalogue.listed import Listed, unverified_option
from rocm_images.cli.group import typed
from rocm_images.cli.options import matrix_at_hand, matrix_option
from rocm_images.errors import InputError
from rocm_images.publishing.options import trust_options

Verb = TypeVar("Verb", bound=Callable[..., object])


def catalogue_options(verb: Verb) -> Verb:
    """Adds which catalogue is asked, and whose signature it must carry, as `listed`."""

    @functools.wraps(verb)
    def called(
        *,
        catalogue_path: Path | None,
        key: str | None,
        identity: str | None,
        issuer: str | None,
        unverified: bool,
        **options: object,
    ) -> object:
        who = (key, identity, issuer)
        asked = typed("key", "identity", "issuer")
        if asked and unverified:
            raise InputError(f"{asked[0]} verifies and --unverified does not: leave out one")
        listed = Listed(catalogue_path, who, unverified, is_asked=bool(asked))
        return verb(listed=listed, **options)

    for option in (
        unverified_option,
        trust_options,
        click.option(
            "--catalogue",
            "catalogue_path",
            type=click.Path(path_type=Path),
            help="The catalogue.json that was published with the images; its signature, "
            "catalogue.sig.json, lies beside it.  [default: build/catalogue.json beside build.py]",
        ),
    ):
        called = option(called)
    return cast(Verb, called)


port_option = click.option(
    "--port",
    type=click.IntRange(1, 65535),
    show_default="the inference server's own",
    help="The port that the server answers on.",
)
server_option = click.option(
    "--server",
    "server_name",
    metavar="SERVER",
    help="The inference server that IMAGE holds, where no catalogue says it.  [default: by the "
    "last part of its repository, else the matrix's]",
)


@click.command()
@click.option("--arch", metavar="ARCH", help="The GPU's arch: 942, gfx942, or MI300X.")
@click.option("--auto", is_flag=True, help="The arch of this machine's GPUs.")
@click.option(
    "--server",
    metavar="SERVER",
    help="This inference server.  [default: of several in the catalogue, the matrix's]",
)
@click.option(
    *("--base", "--rocm", "rocm"),
    metavar="VERSION",
    help="This ROCm release.  [default: the recommended]",
)
@click.option("--channel", metavar="NAME", help="This channel.  [default: stable, if there is one]")
@click.option("--pre", is_flag=True, help="Count pre-releases (rc, a, b, dev) of the server, too.")
@click.option(
    "--root",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path("/"),
    help="Where --auto finds sys and dev.  [default: /]",
)
@matrix_option
@catalogue_options
def pick(
    arch: str | None,
    auto: bool,
    server: str | None,
    rocm: str | None,
    channel: str | None,
    pre: bool,
    root: Path,
    matrix_path: Path,
    listed: Listed,
) -> None:
    """Print the recommended image for a GPU, by its digest."""
    from rocm_images.deploying.choose import recommended, servers_of
    from rocm_images.deploying.gpus import machine_notes, of_this_machine
    from rocm_images.deploying.image_meant import tell_notes

    if auto and not typed("arch"):
        arch = None
    if auto == bool(arch):
        raise InputError("say for which GPU: --arch ARCH, or --auto for those of this machine")
    known = listed.read()
    fitting, others = ([], []) if arch else of_this_machine(known, root)
    arch = arch or fitting[0].gfx
    several = servers_of(known, arch)
    if server is None and len(several) > 1:
        server = _of_several(several, matrix_path)
    image = recommended(known, arch, server=server, rocm=rocm, channel=channel, pre=pre)
    tell_notes(image)
    for sentence in machine_notes(image, fitting, others):
        telling.step(f"note: {sentence}")
    click.echo(image.reference)


@click.command("run-args")
@click.argument("image")
@catalogue_options
@server_option
@matrix_option
@port_option
@click.option(
    "--model-cache",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="A folder of this machine that keeps downloaded models.  [default: a volume of docker]",
)
@click.option(
    "--render-group",
    type=click.IntRange(0),
    metavar="NUMBER",
    help="The host's render group, which a user other than root may need.",
)
@click.option("--numa", is_flag=True, help="Let processes bind their memory to NUMA nodes.")
@click.option("--explain", is_flag=True, help="Print why each flag is there, and what is left out.")
def run_args(
    image: str,
    listed: Listed,
    server_name: str | None,
    matrix_path: Path,
    port: int | None,
    model_cache: Path | None,
    render_group: int | None,
    numa: bool,
    explain: bool,
) -> None:
    """Print what `docker run` needs for IMAGE: its flags, and the image.

    IMAGE is a tag or digest of the catalogue, or a whole image reference, which is taken as it is.

    \b
    docker run --rm $(build.py run-args TAG) COMMAND
    """
    import shlex

    from rocm_images.deploying.image_meant import image_meant
    from rocm_images.engine.run_flags import (
        LEFT_OUT,
        MODEL_VOLUME,
        RunOptions,
        model_cache_of,
        run_flags,
    )
    from rocm_images.tables import Column, text_table

    reference, server = image_meant(image, listed, server_name, matrix_path)
    cache = model_cache_of(model_cache) if model_cache else MODEL_VOLUME
    flags = run_flags(RunOptions(port or server.port, cache, render_group, numa))
    if explain:
        header = ("FLAG", Column.words("WHY"))
        click.echo(text_table(header, [(flag.text, flag.why) for flag in flags]))
        click.echo()
        left_out = [(flag.text, flag.why) for flag in LEFT_OUT]
        click.echo(text_table(("LEFT OUT", header[1]), left_out))
        return
    words = [word for flag in flags for word in flag.words]
    click.echo(shlex.join([*words, reference]))


@click.command()
@click.argument("image")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- SERVER ARGUMENTS]")
@click.option(
    "--as",
    "kind",
    type=click.Choice(["docker", "compose", "kubernetes", "helm"]),
    required=True,
    help="A command of docker, a file for docker compose, objects for kubectl apply, or a chart.",
)
@click.option("--model", required=True, metavar="MODEL", help="A model of the Hugging Face hub.")
@click.option("--gpus", type=click.IntRange(1), default=8, show_default=True, help="How many GPUs.")
@click.option(
    "--gpu-resource",
    metavar="NAME",
    help="What the cluster calls them, as amd.com/cpx_nps4 where its device plugin names "
    "partitions.  [default: amd.com/gpu]",
)
@click.option(
    "--gpus-per-node",
    type=click.IntRange(1),
    help="How many a node has, each partition counted.  [default: 8, or more by the resource's "
    "name]",
)
@click.option("--name", help="What it is called.  [default: the inference server's name]")
@server_option
@matrix_option
@port_option
@catalogue_options
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write this file, else print; for helm, the folder of the chart.",
)
def deploy(
    image: str,
    kind: str,
    model: str,
    gpus: int,
    gpu_resource: str | None,
    gpus_per_node: int | None,
    name: str | None,
    server_name: str | None,
    matrix_path: Path,
    port: int | None,
    listed: Listed,
    output: Path | None,
    arguments: tuple[str, ...],
) -> None:
    """Write what runs a server of IMAGE: a docker command, a compose file, a Kubernetes Deployment,
    a Helm chart.

    IMAGE is a tag or digest of the catalogue, or a whole image reference with a digest. What
    follows -- is given to the server.

    \b
    build.py deploy TAG --as compose --model MODEL -- --trust-remote-code
    """
    import shlex

    from rocm_images.deploying.chart import write_chart
    from rocm_images.deploying.image_meant import image_meant
    from rocm_images.deploying.manifests import Deployment, Kind, rendered
    from rocm_images.deploying.nodes import GPU_RESOURCE
    from rocm_images.files import write_whole

    if gpu_resource is not None and kind not in ("kubernetes", "helm"):
        raise InputError(
            "--gpu-resource is for --as kubernetes and helm: docker gives a container /dev/dri; "
            "for a machine with partitioned GPUs say --gpus-per-node"
        )
    if kind == "helm" and output is None:
        raise InputError("a chart is several files: say in which folder, --output FOLDER")
    reference, server = image_meant(image, listed, server_name, matrix_path)
    deployment = Deployment(
        reference,
        model,
        gpus,
        name,
        port,
        server,
        arguments,
        gpu_resource or GPU_RESOURCE,
        gpus_per_node,
    )
    if kind == "helm" and output:
        write_chart(deployment, output)
        install = shlex.join(("helm", "install", str(deployment.name), str(output)))
        telling.written(f"wrote the chart {output}: {install}")
        return
    text = rendered(deployment, Kind(kind))
    if output is None:
        click.echo(text, nl=False)
        return
    write_whole(output, text)
    telling.written(f"wrote {output}")


def _of_several(servers: list[str], matrix_path: Path) -> str | None:
    """The server that `pick` takes where there are images of several, and says so."""
    from rocm_images.deploying.server_meant import of_several

    server = of_several(servers, matrix_at_hand(matrix_path))
    if server is None:
        return None
    telling.step(
        f"note: there are images of {' and '.join(servers)}: this is one of {server.title}, the "
        "matrix's default; --server names another."
    )
    return server.name
