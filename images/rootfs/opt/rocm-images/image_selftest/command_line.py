"""The command line of the self-test: runs the tiers, writes the file, and says what it found."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from image_facts.description import PLACE, read_or_empty
from image_facts.foreign import shown
from image_facts.whole_file import write_whole
from image_selftest.contents import contents_digest
from image_selftest.document import document_of, has_passed, level_of
from image_selftest.tiers import Tier, run_tiers

PASSED, FAILED, BAD_ARGUMENTS, TERMINATED = 0, 1, 2, 143
IMAGE_ID = "ROCM_IMAGES_IMAGE_ID"
_ROOT = Path("/")


class _BadArguments(Exception):
    pass


class _Terminated(BaseException):
    """SIGTERM came: `docker stop`. Process 1 would not even notice it without a handler."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _BadArguments(message)


def _parser() -> _Parser:
    parser = _Parser(
        prog="selftest",
        description="Runs everything that this image can show of itself here (the doctor, graph "
        "captures, a captured decode, the server itself) and writes one evidence file. It sends "
        "nothing anywhere. Exit codes: 0 nothing failed, 1 something did, 2 bad arguments. "
        "Arguments after -- go to graph-probe serve.",
    )
    parser.add_argument("--output", metavar="FILE", help="where to write; - is standard output")
    parser.add_argument(
        "--image-id",
        default=os.environ.get(IMAGE_ID) or None,
        metavar="sha256:...",
        help=f"the image's id, which a container cannot know (default: {IMAGE_ID})",
    )
    parser.add_argument(
        "--contents", action="store_true", help="only print the digest of the image's contents"
    )
    return parser


def main(arguments: Sequence[str], root: Path = _ROOT) -> int:
    """Run the self-test; returns its exit code."""
    words = list(arguments)
    at = words.index("--") if "--" in words else len(words)
    try:
        options = _parser().parse_args(words[:at])
        if options.contents:
            print(contents_digest(root))
            return PASSED
        if not options.output:
            raise _BadArguments("--output FILE is needed; --output - is standard output")
        if options.image_id and not re.fullmatch(r"sha256:[0-9a-f]{64}", options.image_id):
            raise _BadArguments(f"the image id {options.image_id!r} is not sha256: and 64 digits")
        serve_arguments = words[at + 1 :]
        _check(serve_arguments)
        return _test(options.output, _image(root, options.image_id), serve_arguments)
    except _BadArguments as problem:
        _say(f"selftest: {problem}. See selftest --help.")
        return BAD_ARGUMENTS
    except OSError as error:
        _say(f"selftest: {error.filename or 'a file'}: {error.strerror}; nothing was written.")
        return BAD_ARGUMENTS


def _check(serve_arguments: Sequence[str]) -> None:
    """Raises _BadArguments where they would make the serve tier another one."""
    own = list(serve_arguments)
    own = own[: own.index("--")] if "--" in own else own
    for word in own:
        if word.startswith(("--race", "--provoke")):
            raise _BadArguments(
                f"{word} is none of a self-test's, which runs the race by itself and provokes "
                "nothing: leave it out, or run `graph-probe serve` for it"
            )


def _image(root: Path, image_id: str | None) -> dict[str, object]:
    """What is known about the image from inside it, and its id where somebody told it."""
    description = dict(read_or_empty(root / PLACE).whole) or None
    return {"id": image_id, "contents": contents_digest(root), "description": description}


def _test(output: str, image: dict[str, object], serve_arguments: Sequence[str]) -> int:
    begun = time.monotonic()
    tiers: list[Tier] = []
    programs: list[subprocess.Popen[bytes]] = []

    def document() -> dict[str, object]:
        date = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        return document_of(image, tiers, date, time.monotonic() - begun)

    def done(tier: Tier) -> None:
        tiers.append(tier)
        # After each tier: what a power cut ends was not for nothing.
        if output != "-":
            _write(Path(output), document())
        _say(f"{tier.name:8s} {tier.status}, {tier.seconds:.1f} s: {tier.sentence}")

    def terminate(*_: object) -> None:
        raise _Terminated

    if output != "-":
        _write(Path(output), document())
    handler = signal.signal(signal.SIGTERM, terminate)
    try:
        run_tiers(serve_arguments, done, programs.append)
    except (_Terminated, KeyboardInterrupt):
        for program in programs:
            program.terminate()
            program.wait()
        _say("selftest: ended by a signal; the file holds what was finished.")
        return TERMINATED
    finally:
        signal.signal(signal.SIGTERM, handler)
    if output == "-":
        print(json.dumps(document(), indent=2))
    passed = has_passed(tiers)
    _say(f"selftest {'passed' if passed else 'FAILED'} at level {level_of(tiers)}")
    return PASSED if passed else FAILED


def _write(path: Path, document: dict[str, object]) -> None:
    write_whole(path, json.dumps(document, indent=2) + "\n")


def _say(text: str) -> None:
    print(shown(text), file=sys.stderr, flush=True)
