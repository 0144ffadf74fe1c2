"""A scanner, and what one says, in CycloneDX. Every vulnerability is made up."""

from __future__ import annotations

import datetime
import json
import stat
from pathlib import Path
from typing import Any

TODAY = datetime.date(2026, 11, 26)
SBOM = {"components": [{"bom-ref": "one", "name": "openssl", "version": "3.0.19"}]}


def answer(*vulnerabilities: dict[str, Any], **more: Any) -> bytes:
    return json.dumps(
        {"bomFormat": "CycloneDX", "vulnerabilities": vulnerabilities, **more}
    ).encode()


def rated(name: str, *severities: str, ref: str = "one") -> dict[str, Any]:
    ratings = [{"severity": one} for one in severities]
    return {"id": name, "ratings": ratings, "affects": [{"ref": ref}]}


def scanner(folder: Path, script: str) -> Path:
    """A scanner that runs a shell's script, with the file of the SBOM as its only argument."""
    path = folder / "scanner"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
