"""What a result was measured on: the machine, without its name, and versions."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def machine() -> dict[str, str]:
    """Cores, memory, processor, kernel, and how busy it was when the run began."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory / 2**30:.1f} GiB",
        "processor": _processor(),
        "kernel": platform.release(),
        "load at the start": f"{os.getloadavg()[0]:.2f} (one minute)",
        "python": platform.python_version(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def first_line(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """The first line that a command prints, such as its version; `unknown` when it fails."""
    done = subprocess.run(
        words, env=dict(environment), capture_output=True, text=True, timeout=60, check=False
    )
    lines = done.stdout.strip().splitlines()
    return lines[0].strip() if done.returncode == 0 and lines else "unknown"


def project_version(project: Path) -> str:
    """Which commit is measured, and whether files were changed since."""
    words = ["git", "-C", str(project), "describe", "--always", "--dirty"]
    return first_line(words, {"PATH": "/usr/local/bin:/usr/bin:/bin"})


def bakery_version(program: Path, environment: Mapping[str, str]) -> str:
    """The version of posit-bakery, which its own program does not say."""
    ask = "import importlib.metadata as m; print(m.version('posit-bakery'))"
    return first_line([str(program.parent / "python"), "-c", ask], environment)
