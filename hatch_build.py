"""Tells hatchling what the program depends on: requirements.in, which alone says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class RequirementsOfTheProgram(MetadataHookInterface):
    """Reads requirements.in, less its comments."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Sets `dependencies`."""
        lines = Path(self.root, "requirements.in").read_text(encoding="utf-8").splitlines()
        metadata["dependencies"] = [line for line in lines if line and not line.startswith("#")]
