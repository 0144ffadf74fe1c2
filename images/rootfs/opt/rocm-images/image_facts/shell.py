"""Writes image.json as a file that sh can source, for rocm-preflight.

The build runs `python -m image_facts.shell image.json > image.sh`. Every value is one quoted word.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from image_facts.description import Facts, FactsError, read
from image_facts.foreign import shown
from image_servers import server_of


def as_shell(facts: Facts) -> str:
    """Assignments of `image_...`, and a call of `image_warning ID TEXT` for each warning."""
    return "".join(f"{line}\n" for line in _lines(facts))


def _lines(facts: Facts) -> Iterator[str]:
    yield "# From image.json, by image_facts.shell."
    for name, value in (("cell", facts.cell), ("gfx", facts.gfx), ("rocm", facts.rocm)):
        yield f"image_{name}={_word(value)}"
    variable, bug = server_of(facts.server).all_reduce, facts.capture_bug
    reads = variable.is_read_by(facts.server_version)
    for name, value in (
        # Empty where this release has nothing but its own.
        ("variable", variable.name if reads else ""),
        ("requires", " ".join(f"{one.name}={one.default}" for one in variable.requires)),
        ("set", facts.env.get(variable.name)),
        ("default", variable.default),
        ("on", variable.titles[variable.on]),
        ("off", variable.titles[variable.off]),
    ):
        yield f"image_all_reduce_{name}={_word(value)}"
    yield f"image_capture_bug={_word('1' if bug and bug.here else '')}"
    yield f"image_free_from={_word(bug.free_from if bug else None)}"
    yield f"image_capture_report={_word(bug.reference if bug else None)}"
    for advisory, text in facts.warnings.items():
        yield f"image_warning {_word(advisory)} {_word(text)}"


def _word(value: str | None) -> str:
    return shlex.quote(shown(" ".join((value or "").split())))


def main(arguments: list[str]) -> int:
    """Print the file for the image.json that is named; 1 and a sentence where it cannot be used."""
    try:
        sys.stdout.write(as_shell(read(Path(arguments[0]))))
    except FactsError as error:
        sys.stderr.write(shown(f"image_facts: {error}. Rebuild the image.\n"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
