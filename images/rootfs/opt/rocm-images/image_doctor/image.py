"""The image under examination: its root folder, its own description, its Python packages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import Distribution, distributions
from pathlib import Path

from image_facts.description import PLACE, Facts, read_or_empty
from image_servers import Server, server_of

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
    def facts(self) -> Facts:
        """What image.json says; nothing where it cannot be used, as check_description says."""
        return read_or_empty(self.root / PLACE)

    @property
    def server(self) -> Server:
        """The inference server that it holds."""
        return server_of(self.facts.server)

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
        """All .so files below some import packages, and those that are one themselves, sorted."""
        if self.site_packages is None:
            return []
        found: set[Path] = set()
        for package in packages:
            inside = (self.site_packages / package).rglob("*.so*")
            for path in (*inside, *self.site_packages.glob(f"{package}.*.so")):
                if path.is_file() and re.search(r"\.so(\.\d+)*$", path.name):
                    found.add(path)
        return sorted(found)
