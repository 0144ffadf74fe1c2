"""Lets Debian's debsecan scan an SBOM: what a channel's `scan.command` runs (docs/scan.md).

    python debsecan_as_cyclonedx.py {sbom} debsecan --suite bookworm

debsecan reads the status file of dpkg and writes lines, so it is given the packages of the SBOM as
such a file, and its lines become CycloneDX. Its own whitelist is not read: the channel has `allow`,
whose entries end. Any line that is not understood is a failure, and so is a package of another
distribution's, Ubuntu's, say, of which debsecan knows nothing: what cannot be read is no "no
findings".
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

_LINE = re.compile(r"(?P<id>\S+) (?P<package>\S+)(?: \((?P<notes>.*)\))?")
_DISTRIBUTION = re.compile(r"pkg:/*deb/+([^/@?#]*)", re.IGNORECASE)
# What has an end of a line would begin another field, or another package.
_WORD = re.compile(r"[!-~]+")
_URGENCY = re.compile(r"(low|medium|high) urgency")


def packages_of(sbom: Any) -> list[Any]:
    """The packages of Debian's that an SBOM has; one of another distribution's refuses."""
    found = []
    for one in sbom["components"]:
        of = _DISTRIBUTION.match(one.get("purl", ""))
        if of is None:
            continue
        if of[1] != "debian":
            raise SystemExit(f"debsecan knows Debian's packages alone, not {one['purl']!r}")
        if not _are_words(one.get("name"), one.get("version")):
            raise SystemExit(f"no name and version that dpkg would take: {one['purl']!r}")
        found.append(one)
    if not found:
        raise SystemExit("the SBOM has no package of Debian's")
    return found


def status_of(sbom: Any) -> str:
    """The packages of Debian's that an SBOM has, as dpkg's status file says them."""
    parts = []
    for one in packages_of(sbom):
        query = one["purl"].partition("#")[0].partition("?")[2]
        pairs = dict(pair.partition("=")[::2] for pair in query.split("&"))
        source, at, version = unquote(pairs.get("upstream", one["name"])).partition("@")
        if not _are_words(source, *([version] if at else [])):
            raise SystemExit(f"no source that dpkg would take: {one['purl']!r}")
        # Where it is another one than the package's: what is fixed is said of the source's.
        of = f"{source} ({version})" if version else source
        parts.append(
            f"Package: {one['name']}\nStatus: install ok installed\nSource: {of}\n"
            f"Version: {one['version']}\n"
        )
    return "\n".join(parts)


def _are_words(*given: Any) -> bool:
    return all(isinstance(one, str) and _WORD.fullmatch(one) for one in given)


def answer_of(lines: Sequence[str], sbom: Any) -> dict[str, Any]:
    """What debsecan said, as CycloneDX."""
    refs: dict[str, list[str]] = {}
    for one in packages_of(sbom):
        if "bom-ref" in one:
            refs.setdefault(one["name"], []).append(one["bom-ref"])
    found = []
    for line in lines:
        said = _LINE.fullmatch(line)
        if said is None:
            raise SystemExit(f"not understood: {line}")
        package = said["package"]
        urgency = _URGENCY.search(said["notes"] or "")
        found.append(
            {
                "id": said["id"],
                "ratings": [{"severity": urgency[1] if urgency else "unknown"}],
                "affects": [{"ref": ref} for ref in refs.get(package, [package])],
            }
        )
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "vulnerabilities": found}


def main(path: str, *command: str) -> None:
    """Scan the SBOM in a file; a status of debsecan's that is not 0 is ours."""
    sbom = json.loads(Path(path).read_text())
    with tempfile.NamedTemporaryFile("w", suffix=".status") as status:
        status.write(status_of(sbom))
        status.flush()
        words = [*command, f"--status={status.name}", "--format=summary", "--whitelist="]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    json.dump(answer_of(done.stdout.splitlines(), sbom), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
