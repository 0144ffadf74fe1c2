"""Prints what a wheel requires here, with some of its extras: `requirements.py WHEEL [EXTRA...]`.

Runs inside a build. What comes out holds nothing of the wheel itself: two releases that ask for the
same have one list, and with it the same layers.
"""

import sys
import zipfile
from email.parser import BytesParser

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

wheel, *wanted = sys.argv[1:]
with zipfile.ZipFile(wheel) as opened:
    (name,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = BytesParser().parsebytes(opened.read(name))
extras = [str(extra) for extra in metadata.get_all("Provides-Extra", [])]
known = {canonicalize_name(extra) for extra in extras}
# To pip an extra that a wheel has not is a warning; it then installs none of its requirements.
for extra in wanted:
    if canonicalize_name(extra) not in known:
        has = ", ".join(extras) or "none"
        sys.exit(f"{wheel} has no extra {extra}, but {has}: change `extra` in matrix.yaml")
every = [Requirement(str(text)) for text in metadata.get_all("Requires-Dist", [])]
own = canonicalize_name(metadata["Name"])
found: set[str] = set()
asked: set[str] = set()
# "" is what is required without any extra; an extra can name others of the same wheel.
waiting = ["", *map(canonicalize_name, wanted)]
while waiting:
    asked.add(extra := waiting.pop())
    for requirement in every:
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        if canonicalize_name(requirement.name) == own:
            waiting += {canonicalize_name(other) for other in requirement.extras} - asked
        else:
            requirement.marker = None
            found.add(str(requirement))
print("".join(f"{line}\n" for line in sorted(found)), end="")
