"""What is done to the project before each run, and how often each contender builds after it."""

from __future__ import annotations

import subprocess
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.contenders import Contender
from benchmarks.measure import Measurement, measure
from benchmarks.project_copy import ProjectCopy
from rehearsal import bases
from rocm_images.places import PROJECT
from rocm_images.plan.load import load

Runs = dict[str, list[Measurement]]
Say = Callable[[str], None]
_OTHERS = ("bench/*", "bakery-*")
CHANGED_BASE = "7.2.0"


def compare(
    scenario: str,
    project: ProjectCopy,
    contenders: Sequence[Contender],
    runs: int,
    say: Say,
) -> Runs:
    """The measurements of each contender: round by round, so that a busy minute hits all of them.

    Raises:
        CommandFailed: a contender does not build.
    """
    prepare = SCENARIOS[scenario]
    environment = contenders[0].environment
    if scenario != "cold cache":
        # Every one has built the project as it is, so that only the change is measured.
        for contender in contenders:
            say(f"{scenario}: {contender.name} builds what is there, unmeasured")
            measure(contender.words(project), project.folder, contender.environment)
    found: Runs = {contender.name: [] for contender in contenders}
    for number in range(runs):
        # Another one begins in each round.
        turn = number % len(contenders)
        for contender in [*contenders[turn:], *contenders[:turn]]:
            changed = prepare(project, environment)
            words = contender.words(changed)
            found[contender.name].append(measure(words, project.folder, contender.environment))
            seconds = found[contender.name][-1].seconds
            say(f"{scenario}: {contender.name}, run {number + 1}: {seconds:.2f} s")
    return found


def _nothing(project: ProjectCopy, _: Mapping[str, str]) -> ProjectCopy:
    return project


def _one_file(project: ProjectCopy, _: Mapping[str, str]) -> ProjectCopy:
    project.change_one_file()
    return project


def _one_base(project: ProjectCopy, environment: Mapping[str, str]) -> ProjectCopy:
    name = f"bench/base:{uuid.uuid4().hex[:12]}"
    with tempfile.TemporaryDirectory() as folder:
        base = bases.base_reference(project.matrix, CHANGED_BASE)
        Path(folder, "Dockerfile").write_text(f"FROM {base}\nRUN echo {name} > /changed\n")
        _docker(["buildx", "build", f"--tag={name}", folder], environment)
    return replace(project, base=(CHANGED_BASE, name))


def _cold(project: ProjectCopy, environment: Mapping[str, str]) -> ProjectCopy:
    remove_what_was_built(environment)
    return project


SCENARIOS: Mapping[str, Callable[[ProjectCopy, Mapping[str, str]], ProjectCopy]] = {
    "cold cache": _cold,
    "nothing changed": _nothing,
    "one file of rootfs changed": _one_file,
    "one base changed": _one_base,
}


def remove_what_was_built(environment: Mapping[str, str]) -> None:
    """Remove every image that a contender made, and the build cache; the stand-in bases stay."""
    ours = [server.repository for server in load(PROJECT / "matrix.yaml").servers.values()]
    for pattern in (*ours, *_OTHERS):
        words = ["images", "--quiet", "--no-trunc", f"--filter=reference={pattern}"]
        if ids := set(_docker(words, environment).split()):
            _docker(["rmi", "--force", *sorted(ids)], environment)
    _docker(["buildx", "prune", "--all", "--force"], environment)


def _docker(words: Sequence[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        ["docker", *words], env=dict(environment), capture_output=True, text=True, check=True
    )
    return done.stdout
