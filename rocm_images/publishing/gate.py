"""Decides whether an image may be published to a channel, with a sentence for each no."""

from __future__ import annotations

from collections.abc import Mapping

from rocm_images import references
from rocm_images.engine.run_flags import AS_DEPLOYED
from rocm_images.errors import InputError, PublishRefused, closest
from rocm_images.matrix.schema import Channel, Matrix
from rocm_images.plan.cells import Cell
from rocm_images.recipe import labels
from rocm_images.registry.address import RegistryAddress
from rocm_images.smoke.evidence import Evidence, Level

_HOW_TO_TEST = {
    "static": "run `python build.py smoke {cell}`",
    "emulated": "run `python build.py smoke {cell}` on an x86-64 machine that has or can build the "
    "emulator (docs/emulation.md)",
    "gpu": "run `python build.py smoke {cell}` on a machine with {gpus}",
    "serve": "run `python build.py smoke --serve {cell}` on a machine with {gpus}",
}
_REHEARSED = (
    "no test of a rehearsed image reaches that, whatever the machine: publish it to a channel that "
    "requires emulated (`--channel preview`)"
)


def channel_named(matrix: Matrix, name: str) -> Channel:
    """The channel of that name.

    Raises:
        InputError: the matrix has none of that name.
    """
    if name not in matrix.channels:
        raise InputError(f"matrix.yaml has no channel {name!r}: {closest(name, matrix.channels)}")
    return matrix.channels[name]


def refusal(
    cell: Cell,
    image_id: str,
    evidence: Evidence | None,
    channel: str,
    wanted: Channel,
    *,
    tests: str | None = None,
) -> str | None:
    """Why the image may not be published to the channel, and how that can change; None: it may.

    `tests` is the digest of the tests that count, None where any do.
    """
    required = Level(wanted.evidence)
    if required is Level.EMULATED and evidence and evidence.hip_runtime == labels.IMITATION:
        # A rehearsal on the imitation of a release of which no binary is to be had shows the
        # pipeline, on a registry of this machine and nowhere else: see check_stand_in.
        required = Level.STAND_IN
    how = _HOW_TO_TEST[wanted.evidence].format(cell=cell.words, gpus=" or ".join(cell.gpus))
    shown = references.short(image_id)
    if evidence is None:
        return f"{cell.name}: no evidence for image {shown}: {how}"
    if not evidence.passed:
        return f"{cell.name}: image {shown} failed its smoke test: mend it, build it and {how}"
    if tests is not None and evidence.tests != tests:
        return f"{cell.name}: image {shown} passed other tests than these: {how}"
    if not evidence.level.reaches(required):
        # Only stand-in bases have a label that says whose runtime they have.
        if evidence.hip_runtime and required in (Level.GPU, Level.SERVE):
            how = _REHEARSED
        return (
            f"{cell.name}: the channel {channel} requires evidence of level {required}, and image "
            f"{shown} has {evidence.level}: {how}"
        )
    if not evidence.as_deployed:
        was = (
            f"with `docker run {evidence.ran_as}`"
            if evidence.ran_as
            else "by an older version, which did not record with which flags"
        )
        return (
            f"{cell.name}: image {shown} was tested on a GPU {was}, and images are deployed with "
            f"`docker run {AS_DEPLOYED}`: {how}"
        )
    return None


def check_stand_in(
    image: str, image_labels: Mapping[str, str], address: RegistryAddress, evidence: Evidence | None
) -> None:
    """Refuse an image of a rehearsal anywhere but on this machine.

    Raises:
        PublishRefused: it is one, and the registry is not on loopback.
    """
    stand_in = labels.STAND_IN in image_labels
    stand_in = stand_in or (evidence is not None and evidence.level is Level.STAND_IN)
    if stand_in and not address.is_loopback:
        raise PublishRefused(
            f"{image} is a rehearsal: stand-ins take the place of ROCm in it, and {address} is "
            "not on this machine; build the real images (without --rehearse) to publish them there"
        )
