"""The matrix of a GitHub workflow, and the files in which GitHub takes what a step has to say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rocm_images.ci import runners
from rocm_images.ci.work import CellWork
from rocm_images.files import cannot_write

# "A matrix will generate a maximum of 256 jobs per workflow run."
# https://docs.github.com/en/actions/how-tos/write-workflows/choose-what-workflows-do/run-job-variations
LARGEST_MATRIX = 256
_LABELS = ("self-hosted", "linux", "x64")


def own_machine(label: str) -> list[str]:
    """The labels of a site's own runner with one of its own."""
    return [*_LABELS, label]


def matrix(
    work: Sequence[CellWork], runner: Sequence[str] = (*_LABELS, runners.GFX)
) -> dict[str, list[dict[str, object]]]:
    """The `matrix` of a job: one entry for each cell that needs work.

    `builder` and `runner` are the labels for `runs-on`: of a machine that builds, and of one that
    tests, by default with the GPUs that the image is for.
    """
    return {
        "include": [
            {
                **one.as_json(),
                "builder": own_machine(runners.BUILDER),
                "runner": runners.of(one.cell, runner),
            }
            for one in work
            if one.needed
        ]
    }


def write_outputs(environment: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    """Give a step's outputs to GitHub, where GITHUB_OUTPUT says that it listens.

    Raises:
        InputError: the file cannot be written.
    """
    _append(environment, "GITHUB_OUTPUT", "".join(f"{k}={v}\n" for k, v in outputs.items()))


def write_step_summary(environment: Mapping[str, str], markdown: str) -> None:
    """Show a page beside the run on GitHub, where GITHUB_STEP_SUMMARY says that it listens.

    Raises:
        InputError: the file cannot be written.
    """
    _append(environment, "GITHUB_STEP_SUMMARY", markdown.rstrip("\n") + "\n")


def compact(document: object) -> str:
    """JSON on one line: an output's value ends at the end of its line."""
    return json.dumps(document, separators=(",", ":"))


def _append(environment: Mapping[str, str], variable: str, text: str) -> None:
    path = environment.get(variable)
    if not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise cannot_write(Path(path), error, f"{variable} names it") from None
