"""Whether what a user gives the server besides fits the deployment: no other port, no more GPUs.

Servers read their options with argparse, which takes the last of an option that is there twice, and
abbreviations, of options with one dash too. Some take `_` for `-` in a name; what none takes, the
server refuses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from rocm_images.errors import InputError
from rocm_images.servers import Arguments, Server
from rocm_images.telling import counted

# argparse divides an option of one letter from its value, and no longer one with one dash.
_JOINED = re.compile(r"(-[a-z]{2,})(\d+)")


def check_arguments(arguments: Sequence[str], gpus: int, server: Server) -> None:
    """Whether a server that gets so many GPUs can be given these arguments.

    Args:
        arguments: what follows --.
        gpus: how many devices the server gets, and takes where no option says how many.
        server: the inference server.

    Raises:
        InputError: one is the deployment's own, or they ask for more GPUs.
    """
    known, title = server.arguments, server.title
    if arguments and not arguments[0].startswith("-"):
        raise InputError(
            f"{arguments[0]!r} is no option of the server: after --, write what {title} is to be "
            f"given, like {known.example}"
        )
    written_out = {*known.of_the_deployment, *(one for kind in _kinds(known) for one in kind)}
    for word in arguments:
        if not word.isprintable():
            raise InputError(f"{word!r} is no argument of a server: it cannot be printed")
        option = _option(word, known)
        if option in known.of_the_deployment:
            raise InputError(f"{option} is not for {title} here: {known.of_the_deployment[option]}")
        meant = [full for full in sorted(written_out) if full.startswith(option)]
        if meant and option.strip("-") and option not in written_out:
            raise InputError(f"{option} is an abbreviation: write the option out, as {meant[0]}")
        joined = _JOINED.fullmatch(option)
        if joined and joined[1] in written_out:
            raise InputError(f"{option} is no option of {title}: write {joined[1]} {joined[2]}")
    _check_gpus(arguments, gpus, known)


def _kinds(known: Arguments) -> tuple[tuple[str, ...], ...]:
    """The spellings of each kind of parallelism."""
    return (known.tensor, known.pipeline, *known.others, known.data)


def _option(word: str, known: Arguments) -> str:
    """The option that a word is, as it is listed: without its value, and with `-` for `_`."""
    name = word.partition("=")[0]
    if name.startswith("--"):
        # What follows a dot is a key of the option's own.
        before, dot, key = name.partition(".")
        return before.replace("_", "-") + dot + key
    # argparse takes the value of an option of one letter without a space: -n2.
    short = word[:2]
    return short if short in known.of_the_deployment else name


def _check_gpus(arguments: Sequence[str], gpus: int, known: Arguments) -> None:
    tensor = known.tensor[0]
    said = [(tensor, gpus), *_said(arguments, known)]
    within = any(_option(word, known) in known.data_within_tensor for word in arguments)
    kinds = [kind for kind in _kinds(known) if not (within and kind is known.data)]
    # The last of each kind, as it is spelt.
    asked = {kind: one for kind in kinds for one in said if one[0] in kind}
    ranks = asked[known.tensor][1]
    others = math.prod(number for kind, (_, number) in asked.items() if kind is not known.tensor)
    if ranks * others <= gpus:
        return
    words = [f"{option} {number}" for option, number in asked.values() if number != 1]
    total = f" ({ranks * others} together)" if len(words) > 1 else ""
    mend = f"say --gpus {ranks * others} before --"
    if not any(option in known.tensor for option, _ in said[1:]):
        mend = (
            f"say {tensor} {gpus // others} after --, too"
            if others <= gpus
            else f"say --gpus {others} before --, and {tensor} 1 after it"
        )
    has = counted(gpus, "GPU")
    raise InputError(
        f"{' times '.join(words)}{total} is more than the {has} that the server gets: {mend}"
    )


def _said(arguments: Sequence[str], known: Arguments) -> Iterator[tuple[str, int]]:
    """Each option of parallelism with its number; what is no number, the server refuses."""
    spellings = {one for kind in _kinds(known) for one in kind}
    for number, word in enumerate(arguments):
        _, equals, value = word.partition("=")
        option = _option(word, known)
        if option in spellings:
            value = value if equals else "".join(arguments[number + 1 : number + 2])
            try:
                yield option, max(1, int(value))
            except ValueError:
                continue
