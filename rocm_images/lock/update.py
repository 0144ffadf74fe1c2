"""One run of `lock`, and what a build asks of the lock: joins matrix, lock, upstream and report."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rocm_images import telling
from rocm_images.engine.connect import Engine
from rocm_images.errors import LockDrift, LockIncomplete, listed
from rocm_images.lock import file as lock
from rocm_images.lock.changes import Change, Wanted, changes, chosen, renewed, unlocked, wanted_of
from rocm_images.lock.file import Lock
from rocm_images.lock.newer import News
from rocm_images.lock.report import write_report
from rocm_images.lock.upstream import Resolution, Upstream, resolve
from rocm_images.masking import masked
from rocm_images.matrix.schema import Matrix
from rocm_images.tables import filled, headed, room

_MANY = 3
_ASKED = re.compile(r"""(unable to access |\b(Head|Get) )?(["'])[a-z]+://[^"']*\3: """)
"""How git, Docker and buildx begin: with the address that they asked."""


def run_lock(
    matrix_path: Path,
    matrix: Matrix,
    names: Sequence[str],
    upstream: Upstream,
    *,
    check: bool,
    report: Path | None = None,
    news: News | None = None,
    as_json: bool = False,
) -> None:
    """Resolve what the matrix names (all of it, or `names`), and write or check its lock.

    Prints what changed (`as_json`: one object of it and of the news), and what could not be
    resolved and why; `report` gets a page of it, with the `news` of what the matrix could take,
    which changes no exit code.

    Raises:
        InputError: a name is unknown, or the lock cannot be read, is not valid, or not writable.
        LockDrift: `check`, and something is not as the lock has it.
        LockIncomplete: something could not be resolved; its entry is as it was.
    """
    path = lock.path_of(matrix_path)
    before = lock.read(path)
    wanted = wanted_of(matrix)
    asked = chosen(wanted, names) if names else wanted
    resolution = resolve(asked, upstream)
    after = renewed(before, resolution.found, None if names else wanted)
    differences = changes(before, after)
    if as_json:
        from rocm_images.lock.as_json import json_text

        print(json_text(matrix, before, differences, resolution.unresolved, news or News()))
    else:
        for change in differences:
            print(change.told(room()))
    for sentence in _unresolved_in_short(before, resolution, _room_of_failures()):
        telling.failure(sentence)
    if report is not None:
        unresolved = _unresolved(before, resolution.unresolved)
        write_report(report, matrix, differences, unresolved, news)
    if differences and not check:
        lock.write(path, after, matrix_path.name)
        telling.written(f"wrote {path}")
    elif check and not path.exists():
        raise LockDrift(
            f"there is no {path} yet: run `python build.py lock`, which writes it, and commit it"
        )
    elif differences:
        raise LockDrift(
            f"{path} is not what upstream has now: run `python build.py lock`, or `lock --update "
            "NAME` for one entry, and review the difference before you commit it"
        )
    if resolution.unresolved:
        raise LockIncomplete(
            f"{len(resolution.unresolved)} of {telling.counted(len(asked), 'name')} could not be "
            "resolved: run this again where their registries and git servers answer"
        )
    if not (differences or as_json):
        print(f"{path} is up to date")


def tell_news(matrix: Matrix, upstream: Upstream, *, as_json: bool = False) -> News:
    """Ask for newer bases and releases, and print them, but not `as_json`, which has all at once.

    What cannot be asked is no failure.

    Raises:
        Stopped: the run is being stopped.
    """
    # What tries a matrix is not needed where nobody asks.
    from rocm_images.lock.listing import news_of
    from rocm_images.lock.news import lines_of

    news = news_of(matrix, upstream)
    for line in () if as_json else lines_of(news, room()):
        print(line)
    for sentence in news.unasked:
        telling.failure(_filled(sentence, _room_of_failures()))
    return news


def take_newest(matrix_path: Path, matrix: Matrix, news: News) -> Matrix:
    """The matrix with the newest base that it lacks, if there is any; its file has it, too.

    Raises:
        InputError: the file cannot be written, or not by a program.
    """
    from rocm_images.lock.take import newest_of, take

    found = newest_of(matrix, news.bases)
    if found is None:
        return matrix
    after = take(matrix_path, matrix, found)
    telling.written(f"wrote the base {found.rocm} into {matrix_path}")
    return after


def _unresolved(before: Lock, given: Mapping[Wanted, str]) -> list[str]:
    """A sentence for each name."""
    entries = before.entries
    return [
        f"{one.key}: not resolved ({masked(reason)}): "
        + (f"its entry stays {entries[one.key]}" if one.key in entries else "it has no entry yet")
        for one, reason in given.items()
    ]


def _unresolved_in_short(before: Lock, resolution: Resolution, width: int | None) -> Iterator[str]:
    """The same, with one sentence for all that were not for one reason, as without a network."""
    alike: dict[tuple[str, bool], dict[Wanted, str]] = {}
    for one, reason in resolution.unresolved.items():
        # What is asked of whom differs from name to name.
        why = _ASKED.sub("", reason.replace(one.key, "it"))
        alike.setdefault((why, one.key in before.entries), {})[one] = reason
    for (why, known), several in alike.items():
        if len(several) < _MANY:
            yield from (_filled(one, width) for one in _unresolved(before, several))
            continue
        what = "their entries stay" if known else "they have no entry yet"
        names = listed([one.key for one in several])
        head = _filled(f"{len(several)} names: not resolved ({masked(why)}): {what}", width)
        yield headed(head, names, width)


def _room_of_failures() -> int | None:
    """The columns of standard error; None: it has no end."""
    ends = sys.stderr.isatty() or os.environ.get("COLUMNS")
    return telling.columns() if ends else None


def _filled(sentence: str, width: int | None) -> str:
    """A sentence that stands behind the program's name."""
    if width is None:
        return sentence
    behind = f"{telling.PROGRAM}: "
    return filled(behind + sentence, width, others="  ").removeprefix(behind)


def moved_bases(engine: Engine, given: Lock, images: Iterable[str]) -> dict[str, str]:
    """The locked base images that moved: image -> a sentence with both digests and what to do.

    The registries are asked through the engine that builds. Images without an entry and those that
    name their own digest are not asked for; one whose registry does not answer is no error, since
    the build takes the locked digest.
    """
    asked = [
        Wanted(image, (image,), git=False)
        for image in dict.fromkeys(images)
        if image in given.bases and "@" not in image
    ]
    after = renewed(given, resolve(asked, Upstream(engine)).found)
    return {change.key: moved_sentence(change) for change in changes(given, after)}


def moved_sentence(change: Change) -> str:
    """Why a build does not go on: both digests of a base, and what to do."""
    return (
        f"the base image {change.key} moved: the lock has {change.old}, its registry now has "
        f"{change.new}: look at what changed, then run `python build.py lock --update {change.key}`"
    )


def unlocked_sentences(given: Lock, wanted: Iterable[Wanted]) -> tuple[str, ...]:
    """A warning for each name that a build takes as upstream has it at the time."""
    return tuple(
        f"{one.key} has no entry in matrix.lock, so this build takes what it stands for today: "
        "run `python build.py lock`"
        for one in unlocked(given, wanted)
    )
