"""The verbs about what a project says: its matrix, Dockerfiles and lock. They build nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rocm_images import telling
from rocm_images.build.site import Site
from rocm_images.cli.group import typed
from rocm_images.cli.layers_asked import LayersAsked, layers_options
from rocm_images.cli.options import (
    ca_bundle_option,
    choice_options,
    context_option,
    load,
    matrix_option,
    one_at_a_time,
    rehearse_option,
)
from rocm_images.cli.variables import contexts_for, only_one
from rocm_images.errors import InputError
from rocm_images.publishing.options import retries_option, trust_options, where_options
from rocm_images.registry.address import RegistryAddress
from rocm_images.telling import COMMAND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rocm_images.build.status import Status
    from rocm_images.plan.cells import Cell
    from rocm_images.plan.selection import Choice


@click.command()
@matrix_option
@choice_options
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects for machines.")
@context_option
@layers_options
@where_options
@trust_options
@rehearse_option
def plan(
    matrix_path: Path,
    choice: Choice,
    as_json: bool,
    contexts: tuple[str, ...],
    layers: LayersAsked,
    registry: RegistryAddress | None,
    ca_bundle: Path | None,
    attempts: int,
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
    from rocm_images.build.status import UNKNOWN, statuses
    from rocm_images.build.targets import targets_of

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
        # What is typed is looked at before cosign is missed.
        trust = trust_of(key, identity, issuer) if key or identity or issuer else None
        there = InRegistry(
            repositories_of(registry, trusted, attempts, chosen),
            Cosign(registry, site.programs(), trusted) if trust else None,
            trust,
        )
    contexts = contexts_for(contexts, cells, chosen, rehearsed=bool(site.tag_suffix))
    targets = targets_of(site, matrix_path, matrix, chosen, contexts=contexts)
    engine = site.found_engine()
    found = statuses(engine, targets, there)
    tags = [[tag + site.tag_suffix for tag in cell.tags] for cell in chosen]
    if as_json:
        import json

        documents = [
            {
                **cell.as_json(),
                "tags": tags_of_it,
                "build_id": status.build_id,
                "immutable_tag": status.immutable_tag,
                "state": status.state,
            }
            for cell, tags_of_it, status in zip(chosen, tags, found, strict=True)
        ]
        click.echo(json.dumps(documents, indent=2))
    else:
        click.echo(_plan_table(chosen, tags, found))
    if any(status.state == UNKNOWN for status in found):
        # Of the table it is a part; a document has no room for it.
        tell = telling.step if as_json else click.echo
        tell(f"the state is {UNKNOWN}: {site.without_engine}")


def _plan_table(
    cells: Sequence[Cell], tags: Sequence[Sequence[str]], found: Sequence[Status]
) -> str:
    from rocm_images.tables import Column, text_table

    rows = [
        (
            cell.name,
            cell.gfx,
            cell.base_image,
            " ".join(tags_of_it),
            *_all_reduce(cell),
            status.build_id[:12],
            status.state,
        )
        for cell, tags_of_it, status in zip(cells, tags, found, strict=True)
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
    return text_table(header, rows, elsewhere="--json has all")


def _all_reduce(cell: Cell) -> tuple[str, str]:
    """Whose it is, and by which advisory: whole reasons would make the table too wide."""
    variable = cell.server.all_reduce.name
    for setting in cell.settings:
        if setting.name == variable and setting.advisory:
            more = f" +{len(setting.also)}" if setting.also else ""
            return cell.all_reduce, f"{setting.advisory}{more}"
    return cell.all_reduce, "-"


@click.command()
@matrix_option
@choice_options
@click.argument("cell", required=False)
def explain(matrix_path: Path, choice: Choice, cell: str | None) -> None:
    """Show every setting and pin of one CELL, why it is there, and its references.

    CELL is SERVER-ARCH-rocmBASE, where ARCH is 942, gfx942 or MI300X. Or leave it
    out, and choose the one by --server, --arch and --base.
    """
    from rocm_images.plan.explain import explain as explanation
    from rocm_images.plan.selection import cell_typed
    from rocm_images.tables import room

    matrix, cells = load(matrix_path)
    if cell is not None:
        for option in typed("servers", "archs", "bases"):
            raise InputError(f"{option}: CELL names one cell already: leave out either")
        found = cell_typed(cells, cell)
    else:
        choice = only_one(choice, "explain", tell=telling.decided)
        left = choice.of(matrix, cells) if choice else cells
        if len(left) > 1:
            names = ", ".join(one.name for one in left)
            raise InputError(f"explain: name one cell, or choose it by --arch and --base: {names}")
        found = left[0]
    click.echo(explanation(found, room()))


@click.command()
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


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
def init(folder: Path) -> None:
    """Begin a project in FOLDER (this one, if none is named): a commented matrix.yaml."""
    from rocm_images.matrix.begin import begin

    for path in begin(folder, COMMAND):
        telling.written(f"wrote {os.path.relpath(path)}")


@click.command()
def schema() -> None:
    """Print the JSON Schema of matrix.yaml, with which an editor completes and checks it."""
    from rocm_images.matrix.json_schema import schema_text

    click.echo(schema_text(), nl=False)


@click.command()
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
@click.option(
    "--json", "as_json", is_flag=True, help="With --check: print one object for machines."
)
@ca_bundle_option
@retries_option
@one_at_a_time("project-files")
def lock(
    matrix_path: Path,
    check: bool,
    names: tuple[str, ...],
    report: Path | None,
    take: bool,
    as_json: bool,
    ca_bundle: Path | None,
    attempts: int,
) -> None:
    """Write matrix.lock: the digest of every base image, the commit of every git source.

    --check, --report and --take also look for newer bases and releases of the servers.
    """
    from rocm_images.lock.update import run_lock, take_newest, tell_news
    from rocm_images.lock.upstream import Upstream

    if check and (names or take):
        raise InputError(
            "--check looks at every entry and writes none: leave out --update and --take"
        )
    if names and take:
        raise InputError("--take adds a base and locks everything: leave out --update")
    if as_json and not check:
        raise InputError("--json is what --check finds: add --check")
    matrix, _ = load(matrix_path)
    upstream = Upstream.here(ca_bundle, attempts)
    wants_news = check or take or (report and not names)
    news = tell_news(matrix, upstream, as_json=as_json) if wants_news else None
    if take and news:
        matrix = take_newest(matrix_path, matrix, news)
    given = (matrix_path, matrix, names, upstream)
    run_lock(*given, check=check, report=report, news=news, as_json=as_json)
