"""Prints what files of requirements, and those that they name, ask for: `requirements.py FILE...`.

Runs inside a build. What comes out holds nothing of the release itself: two that ask for the same
have one list, and with it the same layers.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# The base's own, and the Triton that matrix.yaml pins. iris is for AITER's communication by Triton,
# which its metadata do not require; it is in no index.
LEFT_OUT = {"torch", "torchvision", "torchaudio", "triton", "iris"}


def asked_in(file: Path) -> Iterator[Requirement]:
    """The requirements of a file that hold for this interpreter."""
    for written in file.read_text().splitlines():
        line = re.sub(r"(^|\s)#.*", "", written).strip()
        if line.startswith("-r "):
            yield from asked_in(file.parent / line[3:].strip())
        elif line.startswith("-"):
            sys.exit(f"{file}: {line}: only -r is followed here; change requirements.py")
        elif line:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate():
                requirement.marker = None
                yield requirement


found = {
    str(requirement)
    for name in sys.argv[1:]
    for requirement in asked_in(Path(name))
    if canonicalize_name(requirement.name) not in LEFT_OUT
}
print("".join(f"{line}\n" for line in sorted(found)), end="")
