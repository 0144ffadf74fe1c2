"""The raw logs of servers, and the folders of the project that these tests need."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).parents[3]
PACKAGES = PROJECT / "images" / "rootfs" / "opt" / "rocm-images"
LOGS = PROJECT / "tests" / "data" / "serve_logs"
MADE_UP = PROJECT / "tests" / "data" / "serve_logs_made_up"
FROM_REPORTS = PROJECT / "tests" / "data" / "serve_logs_from_reports"
_PATHS = {
    path.stem: path for folder in (LOGS, MADE_UP, FROM_REPORTS) for path in folder.glob("*.log")
}
STAND_IN_SERVER = Path(__file__).parent / "stand_in_server"


def read_log(name: str) -> str:
    """A raw log, byte for byte: carriage returns are part of it."""
    return _PATHS[name].read_bytes().decode(errors="replace")


def log_names() -> list[str]:
    return sorted(_PATHS)
