"""Contexts as `docker context create` and `use` leave them in Docker's folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path


def make_context(
    folder: Path, name: str, host: str, certificates: Path | None = None, skip: bool = False
) -> Path:
    """A context with certificates from a folder; returns its meta.json."""
    identity = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / identity / "meta.json"
    meta.parent.mkdir(parents=True, exist_ok=True)
    endpoints = {"docker": {"Host": host, "SkipTLSVerify": skip}}
    meta.write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoints}))
    if certificates:
        shutil.copytree(certificates, folder / "contexts" / "tls" / identity / "docker")
    return meta


def use_context(folder: Path, name: str) -> None:
    """Have it be the current one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"currentContext": name}))
