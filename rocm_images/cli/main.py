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
from rocm_images.cli import images
from rocm_images.cli.evidence import evidence
from rocm_images.cli.guide import MOST_COLUMNS
from rocm_images.cli.options import (
    LayersAsked,
    Verbs,
    build_arg_option,
    ca_bundle_option,
    choice_options,
    context_option,
    jobs_option,
    layers_options,
    load,
    matrix_option,
    one_at_a_time,
    registry_option,
    rehearse_option,
    typed,
    wait_option,
)
from rocm_images.comparing import verbs as comparing
from rocm_images.comparing.sbom_verb import sbom
from rocm_images.deploying import verbs as deploying
from rocm_images.distributing import verbs as distributing
from rocm_images.distributing.prune_verb import prune
from rocm_images.errors import InputError
from rocm_images.publishing import verbs as publishing
from rocm_images.publishing.options import signing_options, trust_options
from rocm_images.registry.address import RegistryAddress
from rocm_images.telling import COMMAND, PROGRAM

if TYPE_CHECKING:
    from rocm_images.plan.cells import Cell
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
    matrix, cells = load(matrix_path)
    matrix = layers.of(matrix)
    command = BuildCommand(
        jobs=jobs,
        builder=builder,
        contexts=contexts,
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
        cache=cache,
        units=not no_units,
        who=who,
    )
    sys.exit(build_and_test(matrix_path, matrix, choice.of(matrix, cells), command))


@main.command()
@matrix_option
@choice_options
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects for machines.")
@layers_options
@registry_option
@ca_bundle_option
@trust_options
@rehearse_option
def plan(
    matrix_path: Path,
    choice: Choice,
    as_json: bool,
    layers: LayersAsked,
    registry: RegistryAddress | None,
    ca_bundle: Path | None,
    key: str | None,
    identity: str | None,
    issuer: str | None,
    site: Site,
) -> None:
    """Show the cells: tags, all-reduce default, and what is to be built and why.

    Where an advisory chose the all-reduce it is named, with the number of others that agree;
    `explain` has the whole reason.

    What --registry has is verified where it is said whose signatures count.
    """
    from rocm_images.build.status import statuses
    from rocm_images.build.targets import targets_of
    from rocm_images.tables import Column, text_table

    matrix, cells = load(matrix_path)
    matrix = layers.of(matrix)
    chosen = choice.of(matrix, cells)
    there = None
    if registry:
        from rocm_images.build.status import InRegistry
        from rocm_images.build.targets import repositories_of
        from rocm_images.engine.network import ca_bundle_for
        from rocm_images.registry.cosign import Cosign
        from rocm_images.registry.trust import trust_of

        trusted = ca_bundle_for(ca_bundle, os.environ)
        named = key or identity or issuer
        there = InRegistry(
            repositories_of(registry, trusted, chosen),
            Cosign(registry, site.programs(), trusted) if named else None,
            trust_of(key, identity, issuer) if named else None,
        )
    targets = targets_of(site, matrix_path, matrix, chosen)
    engine = site.found_engine()
    why = "" if engine else site.without_engine
    found = statuses(engine, targets, there, without_engine=why)
    if as_json:
        import json

        documents = [
            {
                **cell.as_json(),
                "build_id": status.build_id,
                "immutable_tag": status.immutable_tag,
                "state": status.state,
            }
            for cell, status in zip(chosen, found, strict=True)
        ]
        click.echo(json.dumps(documents, indent=2))
        return
    rows = [
        (
            cell.name,
            cell.gfx,
            cell.base_image,
            " ".join(cell.tags),
            *_all_reduce(cell),
            status.build_id[:12],
            status.state,
        )
        for cell, status in zip(chosen, found, strict=True)
    ]
    header = (
        "CELL",
        Column.detail("GFX"),
        Column.detail("BASE"),
        Column.words("TAGS"),
        "ALL-REDUCE",
        Column.words("ADVISORY", extra=True),
        Column.detail("BUILD ID"),
        Column.words("STATE"),
    )
    click.echo(text_table(header, rows, elsewhere="--json has all"))


def _all_reduce(cell: Cell) -> tuple[str, str]:
    """Whose it is, and by which advisory: whole reasons would make the table too wide."""
    variable = cell.server.all_reduce.name
    for setting in cell.settings:
        if setting.name == variable and setting.advisory:
            more = f" +{len(setting.also)}" if setting.also else ""
            return cell.all_reduce, f"{setting.advisory}{more}"
    return cell.all_reduce, "-"


@main.command()
@matrix_option
@click.argument("cell", required=False)
def explain(matrix_path: Path, cell: str | None) -> None:
    """Show every setting and pin of one CELL, why it is there, and its references."""
    from rocm_images.plan.explain import explain as explanation
    from rocm_images.plan.selection import cell_named
    from rocm_images.tables import room

    _, cells = load(matrix_path)
    if cell is None:
        raise InputError(f"explain: name a cell: {', '.join(one.name for one in cells)}")
    click.echo(explanation(cell_named(cells, cell), room()))


@main.command()
@matrix_option
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="One folder for <cell>/Dockerfile, docker-bake.json and advisories.md.  "
    "[default: beside the matrix: images/, docker-bake.json, docs/advisories.md]",
)
@click.option("--check", is_flag=True, help="Write nothing; show what would change, and exit 5.")
@one_at_a_time("project-files")
def render(matrix_path: Path, output: Path | None, check: bool) -> None:
    """Write the Dockerfile of every cell, docker-bake.json and docs/advisories.md."""
    from rocm_images.errors import RenderDrift
    from rocm_images.recipe import render as rendering

    matrix, cells = load(matrix_path)
    here = rendering.Destinations
    to = here.below(output) if output else here.beside(matrix_path)
    files = rendering.rendered_files(matrix, cells, to)
    stale = rendering.stale_files(to.dockerfiles, files)
    if check:
        found = rendering.differences(files, stale)
        if found:
            whole = "".join(found.values())
            short = whole.count("\n") <= rendering.MOST_LINES
            show_whole = short or telling.volume() is telling.Volume.VERBOSE
            click.echo(whole if show_whole else rendering.in_short(found), nl=False)
            raise RenderDrift(
                f"{to.dockerfiles} is not what {matrix_path.name} and the templates render to: "
                "run `python build.py render` and commit the result"
            )
        return
    for path in rendering.write(files, stale):
        telling.written(f"{'wrote' if path.exists() else 'removed'} {os.path.relpath(path)}")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
def init(folder: Path) -> None:
    """Begin a project in FOLDER (this one, if none is named): a commented matrix.yaml."""
    from rocm_images.matrix.begin import begin

    for path in begin(folder, COMMAND):
        telling.written(f"wrote {os.path.relpath(path)}")


@main.command()
def schema() -> None:
    """Print the JSON Schema of matrix.yaml, with which an editor completes and checks it."""
    from rocm_images.matrix.json_schema import schema_text

    click.echo(schema_text(), nl=False)


@main.command()
@matrix_option
@click.option(
    "--check", is_flag=True, help="Write nothing; show what moved upstream, and exit 7 if any did."
)
@click.option(
    "--update",
    "names",
    multiple=True,
    metavar="NAME",
    help="Only this base version, base image, or source by its name; may be repeated.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write what moved, what is newer, and what follows from it, as a page in Markdown.",
)
@click.option(
    "--take", is_flag=True, help="First add the newest base that upstream has to the matrix."
)
@one_at_a_time("project-files")
def lock(
    matrix_path: Path, check: bool, names: tuple[str, ...], report: Path | None, take: bool
) -> None:
    """Write matrix.lock: the digest of every base image, the commit of every git source.

    --check, --report and --take also look for newer bases and releases of the servers.
    """
    from rocm_images.lock.update import run_lock, take_newest, tell_news

    if check and (names or take):
        raise InputError(
            "--check looks at every entry and writes none: leave out --update and --take"
        )
    if names and take:
        raise InputError("--take adds a base and locks everything: leave out --update")
    matrix, _ = load(matrix_path)
    news = tell_news(matrix) if check or take or (report and not names) else None
    if take and news:
        matrix = take_newest(matrix_path, matrix, news)
    run_lock(matrix_path, matrix, names, check=check, report=report, news=news)


for verb in (
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
