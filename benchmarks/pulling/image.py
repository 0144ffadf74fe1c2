"""An image of real programs in layers as ours have them, from Debian's packages.

The vendor's base is LLVM, the dependencies are those of PyTorch, the kernels are libraries with
code objects for AMD's GPUs, and a release of the "server" is a few Python packages. No part runs:
what is measured is how long bytes of their kind take.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine import FOLDER
from rehearsal import debian_packages
from rocm_images.errors import EngineError

BASE = (
    "FROM scratch\n"
    "COPY base/root/usr/lib/llvm-19/ /usr/lib/llvm-19/\n"
    "COPY base/root/usr/lib/x86_64-linux-gnu/ /usr/lib/x86_64-linux-gnu/\n"
)
"""The vendor's, whose layers come with gzip."""
ABOVE_THE_BASE = ("torch", "dependencies", "kernels", "server", "image")
"""What changes seldom comes first; the last is what every image gets of its own."""
CHANGED = ("server", "image")
"""What a new release of the server changes."""


def before(base: str) -> str:
    """The Dockerfile as the recipe was: server and all that it needs in one layer, then kernels."""
    return (
        f"FROM {base}\n"
        "COPY torch/root/ dependencies/root/ server/root/ /\n"
        "COPY kernels/root/ /\n"
        "COPY image/root/ /\n"
    )


def split(base: str) -> str:
    """The same content, in layers by how often they change."""
    return f"FROM {base}\n" + "".join(f"COPY {part}/root/ /\n" for part in ABOVE_THE_BASE)


@dataclass(frozen=True)
class Image:
    """By its name the packages of Debian 13 in each part, which lie in a context of its own."""

    name: str
    packages: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        self.context.mkdir(parents=True, exist_ok=True)

    @property
    def context(self) -> Path:
        """What its Dockerfiles copy from, which lie there too."""
        return FOLDER / "pulling" / self.name

    @property
    def kept_base(self) -> Path:
        """What a registry stores that has its base."""
        return FOLDER / "pulling" / f"{self.name}-base"

    def fetch(self) -> int:
        """Unpack its packages, once; returns how many bytes the image unpacks to.

        Raises:
            EngineError: this is no Debian, or the mirror does not answer.
        """
        host = debian_packages.distribution()
        if not host.is_debian:
            raise EngineError("the image of these benchmarks is made of Debian 13's packages")
        suite = "" if host.codename == "trixie" else "trixie"
        for part, names in self.packages.items():
            packages = debian_packages.Distribution(host.codename, {suite: names})
            root = debian_packages.unpack(self.context / part, packages, programs=())
            # What apt knows of the mirror is larger than some of the parts.
            for rest in ("lists", "cache"):
                shutil.rmtree(root.parent / rest, ignore_errors=True)
        (self.context / "image" / "root").mkdir(parents=True, exist_ok=True)
        every = self.context.glob("*/root/**/*")
        return sum(path.stat().st_size for path in every if not path.is_symlink())

    def change(self, parts: Iterable[str]) -> None:
        """Give each of these parts a content that it never had: its layer has to be made anew."""
        for part in parts:
            (self.context / part / "root" / f"release-of-{part}").write_text(f"{uuid.uuid4()}\n")


TWO_GIGABYTES = Image(
    "2-gigabytes",
    {
        "base": (
            *("libllvm19", "llvm-19", "llvm-19-dev", "libclang-cpp19", "libclang1-19"),
            *("flang-19", "mlir-19-tools"),
        ),
        "torch": ("libtorch2.6", "python3-torch"),
        "dependencies": (
            *("python3-numpy", "python3-scipy", "python3-pandas", "python3-matplotlib"),
            "python3-networkx",
        ),
        "kernels": ("librccl1", "librocrand1"),
        "server": ("python3-sympy", "python3-sklearn", "python3-sklearn-lib"),
    },
)
SMALL = Image(
    "small",
    {
        "base": ("libclang1-19", "lld-19"),
        "torch": ("python3-scipy",),
        "dependencies": ("python3-numpy",),
        "kernels": ("librocfft0",),
        "server": ("python3-sklearn-lib",),
    },
)
"""A twentieth, to see whether everything runs: of its times nothing can be said."""
