"""Every way in which the program fails, each with its own exit code and a sentence to act on."""

from __future__ import annotations

import difflib
import enum
import errno
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rocm_images import telling


class ExitCode(enum.IntEnum):
    """Exit codes of build.py; the table of docs/ending.md is checked against this class."""

    DONE = 0
    BUILD_FAILED = 1
    BAD_INPUT = 2
    ENGINE_UNUSABLE = 3
    SMOKE_FAILED = 4
    RENDER_DRIFT = 5
    LOCK_INCOMPLETE = 6
    LOCK_DRIFT = 7
    PUBLISH_REFUSED = 8
    REGISTRY_FAILED = 9
    VERIFICATION_FAILED = 10
    EVIDENCE_INVALID = 11
    NO_IMAGE_FITS = 12
    SYSTEM_REFUSED = 13
    BUSY = 14
    DEFECT = 70
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


EXIT_CODE_MEANINGS: dict[ExitCode, str] = {
    ExitCode.DONE: "everything asked for was done",
    ExitCode.BUILD_FAILED: "at least one cell failed to build; the others were finished",
    ExitCode.BAD_INPUT: "bad input: matrix.yaml, an option, or a name that does not exist",
    ExitCode.ENGINE_UNUSABLE: "Docker Engine, buildx, cosign or a Python package is missing or of "
    "a version that is not supported, or the engine failed",
    ExitCode.SMOKE_FAILED: "every cell was built, at least one failed its smoke test",
    ExitCode.RENDER_DRIFT: "render --check: the committed files are not what would be rendered",
    ExitCode.LOCK_INCOMPLETE: "lock: a name could not be resolved; its entry stays as it was",
    ExitCode.LOCK_DRIFT: "matrix.lock is not what registries and git servers have now",
    ExitCode.PUBLISH_REFUSED: "an image may not be published: no evidence, too low a level, its "
    "immutable tag is taken, it is over its channel's pull budget, or a scanner has something "
    "against it",
    ExitCode.REGISTRY_FAILED: "a registry failed, let nobody in or sent no image; running "
    "again resumes",
    ExitCode.VERIFICATION_FAILED: "an image is not what was tested: signature, evidence or digest",
    ExitCode.EVIDENCE_INVALID: "evidence verify: the file was changed or contradicts itself",
    ExitCode.NO_IMAGE_FITS: "pick --auto: no AMD GPU here, GPUs of several kinds, or no image for "
    "them",
    ExitCode.SYSTEM_REFUSED: "the system refused: a full or read-only disk, no permission, too "
    "many open files, no memory",
    ExitCode.BUSY: "another run in this folder works on the same, and longer than --wait allows",
    ExitCode.DEFECT: "a defect of this program; the file that it names has the traceback",
    ExitCode.HUNG_UP: "as 130, by SIGHUP: the terminal was closed",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C; nothing that was begun is left",
    ExitCode.TERMINATED: "as 130, by SIGTERM",
}


# What the system refuses whoever asks; what else an OSError says is met where it is understood.
REFUSALS = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f)",
    errno.EROFS: "name a place that can be written to",
    errno.EACCES: "name a place that you may use, or be somebody who may",
    errno.EPERM: "name a place that you may use, or be somebody who may",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "end other programs: the whole system has too many files open",
    errno.EIO: "look at the disk: the system's log says more",
}


class RocmImagesError(Exception):
    """A failure with a sentence for the user; build.py prints it and exits with `exit_code`."""

    exit_code = ExitCode.BAD_INPUT


class InputError(RocmImagesError):
    """Something the user wrote (an option, a name, a file) cannot be used."""


class NoSuchImage(InputError):
    """The engine does not have an image; `command` builds it, where that is known."""

    def __init__(self, reference: str, command: str = "") -> None:
        build = f"build it (`{command}`)" if command else "build"
        super().__init__(f"the engine has no image {reference!r}: {build} or pull it first")


class EngineError(RocmImagesError):
    """The engine, buildx, cosign or a package is missing or not supported, or the engine failed."""

    exit_code = ExitCode.ENGINE_UNUSABLE


class BuildFailed(RocmImagesError):
    """At least one cell, or something a cell is built from, did not build."""

    exit_code = ExitCode.BUILD_FAILED


class RenderDrift(RocmImagesError):
    """Committed files differ from what the matrix and the templates render to."""

    exit_code = ExitCode.RENDER_DRIFT


class LockIncomplete(RocmImagesError):
    """At least one name of the matrix could not be resolved to its digest or commit."""

    exit_code = ExitCode.LOCK_INCOMPLETE


class LockDrift(RocmImagesError):
    """Something moved upstream since matrix.lock was written, or was never locked."""

    exit_code = ExitCode.LOCK_DRIFT


class PublishRefused(RocmImagesError):
    """An image may not be published as it is."""

    exit_code = ExitCode.PUBLISH_REFUSED


class RegistryError(RocmImagesError):
    """A registry cannot be reached, lets nobody in, or does not answer as registries do."""

    exit_code = ExitCode.REGISTRY_FAILED


class RegistryUnanswered(RegistryError):
    """A registry cannot be reached, or says that it fails: another address helps, or to wait."""


class VerificationFailed(RocmImagesError):
    """An image's signature, evidence or digest is not what it must be."""

    exit_code = ExitCode.VERIFICATION_FAILED


class NoImageFits(RocmImagesError):
    """This machine has no GPU, GPUs of several kinds, or one that no image is for."""

    exit_code = ExitCode.NO_IMAGE_FITS


class WriteRefused(InputError):
    """The system does not let a file be written: a full or read-only disk, no permission."""

    exit_code = ExitCode.SYSTEM_REFUSED


class Busy(RocmImagesError):
    """Another run works on the same things in this folder, and has not ended in time."""

    exit_code = ExitCode.BUSY


class EvidenceInvalid(RocmImagesError):
    """A file of evidence is not what was written, contradicts itself, or is of another image."""

    exit_code = ExitCode.EVIDENCE_INVALID


MOST_PROBLEMS = 100
"""Of one file that are told: whoever has more has another file in mind."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong in a file; `line` and `column` count from 1."""

    line: int
    column: int
    sentence: str


class FileError(InputError):
    """The problems found in one file, each as `FILE:LINE:COL: sentence`, and how many more."""

    def __init__(self, path: Path, problems: Sequence[Problem], more: int = 0) -> None:
        self.problems = tuple(sorted(problems))
        lines = [f"{path}:{p.line}:{p.column}: {p.sentence}" for p in self.problems]
        more += len(lines) - len(lines[:MOST_PROBLEMS])
        lines[MOST_PROBLEMS:] = (
            [f"{path}: and {telling.counted(more, 'more problem')}"] if more else []
        )
        super().__init__("\n".join(lines))


class MatrixError(FileError):
    """All problems found in one matrix file."""


class LockError(FileError):
    """All problems found in one matrix.lock, and how to get a good one."""

    def __str__(self) -> str:
        return (
            f"{super().__str__()}\n"
            "`python build.py lock` writes this file: restore the committed one, or remove it and "
            "run that"
        )


MOST_NAMES = 12
"""That are listed of many."""


def closest(name: str, known: Iterable[str]) -> str:
    """A hint to end a sentence with: the closest known name, those that begin so, or all.

    For words: what looks like a version or an arch is another (`known_versions`, `known_archs`).
    """
    names = sorted(known)
    longer = [one for one in names if name and one.startswith(name)]
    if 1 < len(longer) <= MOST_NAMES:
        return _meant(longer)
    match = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {match[0]!r}?" if match else f"known: {listed(longer or names)}"


def known_versions(name: str, known: Iterable[str]) -> str:
    """A hint to end a sentence with: the versions of that series, or all; none is guessed."""
    names = sorted(known, key=lambda one: ([int(part) for part in re.findall(r"\d+", one)], one))
    series = [one for one in names if one.startswith(f"{name}.")]
    return _meant(series) if 0 < len(series) <= MOST_NAMES else f"known: {listed(series or names)}"


def known_archs(gpus: Mapping[str, Iterable[str]]) -> str:
    """A hint to end a sentence with: every arch and its GPUs, whose names people know; no guess."""
    return f"known: {archs_listed(gpus)}"


def archs_listed(gpus: Mapping[str, Iterable[str]]) -> str:
    """Every arch with its GPUs, as people know them: `942 (MI300X, MI325X)`."""
    # A GPU is AMD Instinct MI300X, of which the last word is what one types.
    models = {
        arch: ", ".join(name.rpartition(" ")[2] for name in names) for arch, names in gpus.items()
    }
    return listed([f"{arch} ({of_arch})" for arch, of_arch in sorted(models.items())])


def _meant(names: Sequence[str]) -> str:
    *others, last = map(repr, names)
    return f"did you mean {', '.join(others)} or {last}?" if others else f"did you mean {last}?"


def listed(names: Sequence[str]) -> str:
    """Names to end a sentence with: of many a few, addresses last; by -v all."""
    if len(names) <= MOST_NAMES or telling.volume() is telling.Volume.VERBOSE:
        return ", ".join(names)
    few = sorted(names, key=lambda name: "/" in name)[:MOST_NAMES]
    return f"{', '.join(few)} and {len(names) - len(few)} more (-v names all {len(names)})"
