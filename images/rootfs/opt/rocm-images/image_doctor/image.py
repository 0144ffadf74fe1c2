"""The image under examination: its root folder, its own description, its Python packages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

DESCRIPTION = "opt/rocm-images/image.json"
REBUILD = "Rebuild the image from its Dockerfile, or pull it again."


def canonical(name: str) -> str:
    """A distribution's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True)
class Image:
    """A root folder with the layout of these images, and the environment of this process."""

    root: Path
    environment: Mapping[str, str]

    def path(self, absolute: str) -> Path:
        """Where a path of the image lies on this machine."""
        return self.root / absolute.lstrip("/")

    def shown(self, path: Path) -> str:
        """A path as someone inside the image would write it."""
        try:
            return "/" + str(path.relative_to(self.root))
        except ValueError:
            return str(path)

    @cached_property
    def description(self) -> dict[str, Any]:
        """image.json; empty where it is not an object that can be read (the check says so)."""
        try:
            found = json.loads((self.root / DESCRIPTION).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def text(self, key: str) -> str | None:
        value = self.description.get(key)
        return value if isinstance(value, str) and value else None

    def texts(self, key: str) -> dict[str, str]:
        """A key of image.json that maps names to texts; empty where there is none."""
        value = self.description.get(key)
        if not isinstance(value, dict):
            return {}
        return {str(name): str(text) for name, text in value.items()}

    @cached_property
    def site_packages(self) -> Path | None:
        """The package folder of the image's virtual environment."""
        found = sorted(self.root.glob("opt/venv/lib/python3*/site-packages"))
        return found[-1] if found else None

    @cached_property
    def distributions(self) -> dict[str, Distribution]:
        """Every installed distribution by its canonical name, without importing anything."""
        if self.site_packages is None:
            return {}
        found = {}
        for distribution in distributions(path=[str(self.site_packages)]):
            name = distribution.metadata["Name"]
            if name:  # a half-removed package leaves a folder without metadata behind
                found[canonical(name)] = distribution
        return found

    def shared_objects(self, *packages: str) -> list[Path]:
        """All .so files below some import packages, sorted."""
        if self.site_packages is None:
            return []
        found: set[Path] = set()
        for package in packages:
            for path in (self.site_packages / package).rglob("*.so*"):
                if path.is_file() and re.search(r"\.so(\.\d+)*$", path.name):
                    found.add(path)
        return sorted(found)
