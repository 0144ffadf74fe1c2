"""The runner of a cell's job, by its labels: what GitLab calls tags."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rocm_images.errors import InputError
from rocm_images.matrix.schema import Channel
from rocm_images.plan.cells import Cell
from rocm_images.smoke.evidence import Level

BUILDER = "image-builder"
"""A machine that builds, with or without a GPU."""
GFX = "{gfx}"
"""Stands for the gfx of a cell's GPUs."""
_LABEL = re.compile(r"(?:\{gfx\}|[\w .:/+-]){1,100}", re.ASCII)


def default(channel: Channel | None) -> str:
    """The label of a machine whose evidence the channel takes: with the GPUs, or any that builds.

    Args:
        channel: None asks for the GPUs.
    """
    needs_gpu = channel is None or Level(channel.evidence).reaches(Level.GPU)
    return GFX if needs_gpu else BUILDER


def parsed(text: str, channel: Channel | None, cells: Sequence[Cell]) -> list[str]:
    """The labels of a text with commas between them.

    Args:
        text: what was typed.
        channel: where the images are to go.
        cells: those that the runners are for.

    Raises:
        InputError: it has an empty or impossible label, or sends cells of different GPUs to the
            same machines, of which the channel wants evidence of the GPU.
    """
    labels = [label.strip() for label in text.split(",")]
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise InputError(
                f"--runner: {label!r} is no label of a runner: write them with commas between, "
                f"and {GFX} for the gfx of a cell's GPUs: self-hosted,linux,{GFX}"
            )
    kinds = sorted({cell.gfx for cell in cells})
    if default(channel) == GFX and len(kinds) > 1 and not any(GFX in label for label in labels):
        raise InputError(
            f"--runner: {text} is the same for {' and '.join(kinds)}, and the channel takes "
            f"evidence of these GPUs alone: add {GFX}, or choose one --arch"
        )
    return labels


def of(cell: Cell, labels: Sequence[str]) -> list[str]:
    """The labels of one cell's runner."""
    return [label.replace(GFX, cell.gfx) for label in labels]
