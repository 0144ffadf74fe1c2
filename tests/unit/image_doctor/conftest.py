"""What the doctor's tests share: a made-up image, and where the programs are."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
PROGRAMS = PROJECT / "images" / "rootfs" / "usr" / "local" / "bin"
# The doctor's package, the writer of code objects that the stand-in sources use, and this folder.
for folder in (
    PROJECT / "images" / "rootfs" / "opt" / "rocm-images",
    PROJECT / "rehearsal" / "sources" / "aiter",
    Path(__file__).parent,
):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from made_up_image import MadeUpImage  # noqa: E402
from preflight_runs import Preflight  # noqa: E402


@pytest.fixture
def made(tmp_path: Path) -> MadeUpImage:
    return MadeUpImage(tmp_path / "root")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree of SGLang's source in which nothing is yet."""
    package = tmp_path / "python" / "sglang"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    return tmp_path


@pytest.fixture
def preflight(made: MadeUpImage, programs: Path) -> Preflight:
    return Preflight(made, programs)


@pytest.fixture(scope="session")
def programs() -> Path:
    return PROGRAMS
