"""The matrix of these tests: the project's with two bases, whatever others it has.

One base whose captures are unsafe, and one whose are not, for two archs: so adding a base to the
project breaks no test and takes none longer.
"""

from __future__ import annotations

import re
from pathlib import Path

from rocm_images.files import write_whole
from rocm_images.plan.load import load

PROJECT = Path(__file__).resolve().parent.parent.parent
BASES = ("7.2.0", "7.2.2")
RECOMMENDED = "    recommended: true\n"
PATH = PROJECT / "build" / "tests" / "matrix.yaml"


def text_of(matrix: str) -> str:
    """A matrix without its other bases, and with the second one recommended."""
    found = re.search(r"^bases:\n((?:  .*\n|\n)+)", matrix, re.MULTILINE)
    assert found
    blocks = dict(re.findall(r"^  ([\d.]+):\n((?:    .*\n)+)", found[1], re.MULTILINE))
    kept = {name: blocks[name].replace(RECOMMENDED, "") for name in BASES}
    kept[BASES[1]] += RECOMMENDED
    bases = "".join(f"  {name}:\n{block}" for name, block in kept.items())
    return matrix.replace(found[1], f"{bases}\n")


def apart(repository: str, vendor: str) -> str:
    """The matrix's text with a repository and a vendor of its own for SGLang's images.

    So no build takes a tag from those of other tests on the same engine, and the images are others:
    those tests remove theirs, with every tag.
    """
    text = text_of((PROJECT / "matrix.yaml").read_text())
    for theirs, own in (
        ("repository: sglang-rocm\n", f"repository: {repository}\n"),
        ("vendor: rocm-serving-images\n", f"vendor: {vendor}\n"),
    ):
        assert text.count(theirs) == 1, theirs
        text = text.replace(theirs, own)
    return text


def written() -> Path:
    """The file, written anew."""
    # Another run of the tests may be reading it.
    write_whole(PATH, text_of((PROJECT / "matrix.yaml").read_text()))
    return PATH


MATRIX = load(written())
