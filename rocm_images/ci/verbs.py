"""The verbs of continuous integration: `ci-matrix` and `summary`."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from rocm_images import telling
from rocm_images.build.site import Site
from rocm_images.cli.group import typed
from rocm_images.cli.layers_asked import LayersAsked, layers_options
from rocm_images.cli.options import (
    choice_options,
    context_option,
    load,
    matrix_option,
    rehearse_option,
)
from rocm_images.cli.variables import contexts_for
from rocm_images.errors import InputError
from rocm_images.files import write_json
from rocm_images.places import STATE
from rocm_images.publishing.options import channel_option, of_reference_options
from rocm_images.registry.address import RegistryAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rocm_images.build.targets import Target
    from rocm_images.ci.work import CellWork, There
    from rocm_images.matrix.schema import Matrix
    from rocm_images.plan.selection import Choice
    from rocm_images.registry.place import Place
    from rocm_images.registry.trust import Trust


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
    help="Only cells whose image this registry lacks, or has without a signature that counts or "
    "evidence that would do: [http://]HOST[:PORT][/PATH].",
)
@context_option
@layers_options
@channel_option
@of_reference_options
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
    help="With --gitlab: every job also pushes what it tested, to the registry of --missing-from "
    "and the same channel, with these options of `push`.",
)
@click.option(
    "--environment",
    metavar="NAME",
    help="With --push: the environment of GitLab whose variables the jobs get, the signing key's.",
)
@click.option(
    "--runner",
    default="",
    metavar="LABELS",
    help="The labels (GitLab: tags) of the runners that test, with commas between; {gfx} is that "
    "of a cell's GPUs. Default: by what --channel requires, the GPUs or image-builder.",
)
@rehearse_option
def ci_matrix(
    matrix_path: Path,
    choice: Choice,
    changed_since: str | None,
    missing_from: str | None,
    contexts: tuple[str, ...],
    layers: LayersAsked,
    channel: str,
    key: str | None,
    identity: str | None,
    issuer: str | None,
    attempts: int,
    ca_bundle: Path | None,
    gitlab: bool,
    options: str,
    push: str | None,
    environment: str | None,
    runner: str,
    site: Site,
) -> None:
    """Print the cells that need work, as jobs for GitHub or GitLab.

    What is skipped and why goes to build/ci-matrix.json and standard error; on GitHub, the outputs
    `matrix` and `count` are set too.
    """
    from rocm_images.build.targets import targets_of
    from rocm_images.ci import github, runners
    from rocm_images.ci import gitlab as gitlab_ci
    from rocm_images.ci import work as working
    from rocm_images.ci.work import CellWork
    from rocm_images.publishing.gate import channel_named

    if changed_since and missing_from:
        raise InputError("ci-matrix: give --changed-since or --missing-from, not both")
    if (options or push is not None) and not gitlab:
        raise InputError(
            "--options and --push belong to --gitlab: a GitHub workflow writes its own steps"
        )
    if typed("contexts") and (gitlab or changed_since):
        raise InputError(
            "--context is for this call alone, and neither GitLab's jobs nor the other commit's "
            "plan would have it: set ROCM_IMAGES_CONTEXT for all"
        )
    if environment and push is None:
        raise InputError("--environment belongs to --push: without it no job needs a signing key")
    matrix, cells = load(matrix_path)
    matrix = layers.of(matrix)
    chosen = choice.of(matrix, cells)
    named = missing_from or typed("channel")
    wanted = channel_named(matrix, channel) if named else matrix.channels.get(channel)
    labels = runners.parsed(runner, wanted, chosen) if runner else None
    contexts = contexts_for(contexts, cells, chosen, rehearsed=bool(site.tag_suffix))
    targets = targets_of(site, matrix_path, matrix, chosen, contexts=contexts)
    work = [CellWork.of(target) for target in targets]
    if changed_since:
        from rocm_images.ci.at_commit import build_ids_at

        before = build_ids_at(changed_since, matrix_path, (*site.words, *layers.words))
        work = working.changed_since(changed_since, before, work)
    elif missing_from:
        from rocm_images.registry.place import place_of
        from rocm_images.registry.trust import trust_of

        address = RegistryAddress.parse(missing_from)
        trust = trust_of(key, identity, issuer)
        places = {
            name: place_of(name, address, ca_bundle, attempts, site.programs())
            for name in dict.fromkeys(cell.repository for cell in chosen)
        }
        there = _look(places, trust, matrix, channel, targets)
        work = working.missing_from(str(address), there, work)
    label = runners.default(wanted)
    if gitlab:
        # The jobs' build ids are to be these, and what they push is to be missing no more.
        words = [*site.words, *layers.words]
        to = [f"--channel={shlex.quote(channel)}"] if typed("channel") else []
        if missing_from and "--registry" not in (push or ""):
            to.append(f"--registry={shlex.quote(missing_from)}")
        pipeline = gitlab_ci.child_pipeline(
            work,
            " ".join([options, *words]).strip(),
            None if push is None else " ".join([push, *to, *words]).strip(),
            pulls=_pulls(missing_from),
            runner=labels or [label],
            environment=environment,
        )
        click.echo(json.dumps(pipeline, indent=2))
    else:
        work = working.at_most(github.LARGEST_MATRIX, work)
        entries = github.matrix(work, labels or github.own_machine(label))
        click.echo(json.dumps(entries, indent=2))
        count = str(len(entries["include"]))
        outputs = {"matrix": github.compact(entries), "count": count}
        github.write_outputs(os.environ, outputs)
    _leave_report(work)


def _pulls(registry: str | None) -> list[str]:
    """How a job pulls an image that only needs to be tested again, and trusts whom we trust.

    What the environment says it says to the job as well.
    """
    if registry is None:
        return []
    context = click.get_current_context()
    named = [
        f"--{name}={context.params[name]}"
        for name in ("key", "identity", "issuer")
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    return [f"--registry={registry}", "--pull-existing", *named]


def _look(
    places: Mapping[str, Place],
    trust: Trust,
    matrix: Matrix,
    channel: str,
    targets: Sequence[Target],
) -> Callable[[CellWork], There | None]:
    """What a registry has of a cell, as `publish` would judge it; `places` by repository."""
    from rocm_images.build.targets import verified_of
    from rocm_images.ci.work import There
    from rocm_images.errors import VerificationFailed
    from rocm_images.publishing.gate import channel_named, refusal
    from rocm_images.smoke.run import tests_digest

    wanted = channel_named(matrix, channel)
    of_cell = {target.cell.name: target for target in targets}

    def look(one: CellWork) -> There | None:
        target, place = of_cell[one.cell.name], places[one.cell.repository]
        try:
            found = verified_of(place.repository, place.cosign, trust, target)
        except VerificationFailed as error:
            return There(why_not=str(error))
        if found is None:
            return None
        why_not = refusal(
            target.cell,
            found.image.digest,
            found.evidence,
            channel,
            wanted,
            tests=tests_digest(),
        )
        return There(found.image.digest, why_not or "")

    return look


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
