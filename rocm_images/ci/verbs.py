"""The verbs of continuous integration: `ci-matrix` and `summary`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rocm_images import telling
from rocm_images.build.site import Site
from rocm_images.cli.options import (
    ca_bundle_option,
    choice_options,
    load,
    matrix_option,
    rehearse_option,
)
from rocm_images.errors import InputError
from rocm_images.files import write_json
from rocm_images.places import STATE
from rocm_images.registry.address import RegistryAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rocm_images.ci.work import CellWork
    from rocm_images.matrix.schema import Matrix
    from rocm_images.plan.cells import Cell
    from rocm_images.plan.selection import Choice


@click.command("ci-matrix")
@matrix_option
@choice_options
@click.option(
    "--changed-since",
    metavar="REF",
    help="Only cells whose build id is another than at this git commit, branch or tag.",
)
@click.option(
    "--missing-from",
    metavar="REGISTRY",
    help="Only cells whose image this registry lacks: [http://]HOST[:PORT][/PATH].",
)
@ca_bundle_option
@click.option(
    "--gitlab", is_flag=True, help="Print a child pipeline of GitLab CI instead of GitHub's matrix."
)
@click.option(
    "--options",
    default="",
    metavar="TEXT",
    help="With --gitlab: more options of `build` for every job.",
)
@click.option(
    "--push",
    metavar="TEXT",
    help="With --gitlab: every job also pushes what it tested, with these options of `push`.",
)
@rehearse_option
def ci_matrix(
    matrix_path: Path,
    choice: Choice,
    changed_since: str | None,
    missing_from: str | None,
    ca_bundle: Path | None,
    gitlab: bool,
    options: str,
    push: str | None,
    site: Site,
) -> None:
    """Print the cells that need work, as jobs for GitHub or GitLab.

    What is skipped and why goes to build/ci-matrix.json and standard error; on GitHub, the outputs
    `matrix` and `count` are set too.
    """
    from rocm_images.ci import github
    from rocm_images.ci import gitlab as gitlab_ci
    from rocm_images.ci.work import at_most

    if changed_since and missing_from:
        raise InputError("ci-matrix: give --changed-since or --missing-from, not both")
    if (options or push is not None) and not gitlab:
        raise InputError(
            "--options and --push belong to --gitlab: a GitHub workflow writes its own steps"
        )
    matrix, cells = load(matrix_path)
    chosen = choice.of(matrix, cells)
    work = _work(matrix_path, matrix, chosen, site, changed_since, missing_from, ca_bundle)
    if gitlab:
        click.echo(json.dumps(gitlab_ci.child_pipeline(work, options, push), indent=2))
    else:
        work = at_most(github.LARGEST_MATRIX, work)
        entries = github.matrix(work)
        click.echo(json.dumps(entries, indent=2))
        count = str(len(entries["include"]))
        outputs = {"matrix": github.compact(entries), "count": count}
        github.write_outputs(os.environ, outputs)
    _leave_report(work)


def _work(
    matrix_path: Path,
    matrix: Matrix,
    cells: Sequence[Cell],
    site: Site,
    changed_since: str | None,
    missing_from: str | None,
    ca_bundle: Path | None,
) -> list[CellWork]:
    from rocm_images.build.targets import targets_of
    from rocm_images.ci import work

    given = [
        work.CellWork(target.cell, target.inputs.build_id, target.immutable_tag)
        for target in targets_of(site, matrix_path, matrix, cells)
        if target.inputs
    ]
    if changed_since:
        from rocm_images.ci.at_commit import build_ids_at

        before = build_ids_at(changed_since, matrix_path, site.words)
        return work.changed_since(changed_since, before, given)
    if missing_from:
        from rocm_images.engine.network import ca_bundle_for
        from rocm_images.plan.selection import repository_of
        from rocm_images.registry.client import Repository

        address = RegistryAddress.parse(missing_from)
        bundle = ca_bundle_for(ca_bundle, os.environ)
        repository = Repository(address, repository_of(cells), bundle)
        return work.missing_from(str(address), repository.digest_of, given)
    return given


def _leave_report(work: Sequence[CellWork]) -> None:
    from rocm_images.ci.summary_page import PLANNED

    skipped = [one.as_json() for one in work if not one.needed]
    for one in work:
        if not one.needed:
            telling.step(f"skipped {one.cell.name}: {one.why}")
    write_json(STATE / PLANNED, {"schema": 1, "skipped": skipped})


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
def summary(folders: tuple[Path, ...]) -> None:
    """Print one Markdown page of what runs left in FOLDERS (default: build).

    On GitHub the page is shown beside the run, too (GITHUB_STEP_SUMMARY).
    """
    from rocm_images.ci.github import write_step_summary
    from rocm_images.ci.summary_page import page, read

    text = page(read(folders or (STATE,)))
    click.echo(text, nl=False)
    write_step_summary(os.environ, text)
