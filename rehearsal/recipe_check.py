"""Resolves the real requirements of every server in the matrix, as the recipe installs them.

Run by `make recipe-check`. The package index is all that it needs: torch is a stand-in of the
base's version without requirements, and what a server asks for is read in what PyPI has of it
(rehearsal/published.py). Nothing is installed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from rehearsal.published import (  # noqa: E402
    INDEX,
    SECONDS,
    Unresolvable,
    published,
    requirements_of,
)
from rocm_images.plan.cells import Cell, cells_of  # noqa: E402
from rocm_images.plan.load import load  # noqa: E402
from rocm_images.servers import SERVERS  # noqa: E402
from rocm_images.waiting import waiting_for  # noqa: E402

# AITER's requirements.txt at each pin, less iris, which no index has and the recipe leaves out.
# That of acf8fdf9 is c16d44b's, with its own flydsl.
OF_AITER = {
    "0.1.10.post2": (
        *("pandas", "psutil", "pyyaml", "einops", "pybind11>=3.0.1"),
        *("matplotlib", "pytest", "ninja"),
    ),
    "0.1.19": (
        'pandas==3.0.3; python_version >= "3.11"',
        'pandas==2.3.3; python_version < "3.11"',
        *("psutil==7.2.2", "pyyaml==6.0.3", "einops==0.8.2", "pybind11==3.0.4"),
        *("matplotlib==3.10.9", "pytest==9.0.3", "ninja==1.13.0", "flydsl==0.2.4"),
    ),
    "0.1.22.dev120+gacf8fdf93": (
        *("pandas", "psutil==7.2.2", "pyyaml==6.0.3", "einops==0.8.2", "pybind11==3.0.4"),
        *("matplotlib==3.10.9", "pytest==9.0.3", "ninja==1.13.0", "flydsl==0.3.2"),
    ),
}
# nvidia-ml-py asks a driver for its state and brings no CUDA.
CUDA = re.compile(r"^(?:nvidia-(?!ml-py)|cuda-|.*-cu1\d$)")
CACHE = PROJECT / ".cache" / "wheels"


@dataclass(frozen=True)
class Question:
    """One thing to resolve; the cells that ask for it."""

    server: str
    version: str
    python: str
    torch: str
    extra: str
    aiter: str
    cells: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What is asked for."""
        extra = f"[{self.extra}]" if self.extra else ""
        told = f"{SERVERS[self.server].title} {self.version}{extra}, Python {self.python}"
        return f"{told}, torch {self.torch}"


def questions(cells: Sequence[Cell]) -> Iterator[Question]:
    """What the cells ask for, once each."""
    asked: dict[Question, list[str]] = {}
    for cell in cells:
        extra = cell.extra.name if cell.extra else ""
        aiter = cell.sources["aiter"].version if "aiter" in cell.sources else ""
        one = Question(cell.server.name, cell.version, cell.python, cell.torch, extra, aiter)
        asked.setdefault(one, []).append(cell.name)
    for one, names in asked.items():
        yield replace(one, cells=tuple(names))


def asked_for(question: Question) -> list[str]:
    """All that is installed at once, as lines for a resolver.

    Raises:
        Unresolvable: it is not known here, or PyPI does not give it.
    """
    if question.aiter and question.aiter not in OF_AITER:
        told = f"the requirements of AITER {question.aiter} are not known here: add them"
        raise Unresolvable(told)
    lines = requirements_of(
        published(question.server),
        SERVERS[question.server].distributions[question.server],
        question.version,
        question.python,
        question.extra,
        CACHE,
    )
    return [*lines, *OF_AITER.get(question.aiter, ())]


def resolved(question: Question, requirements: Sequence[str]) -> list[str]:
    """The packages that pip would install, as NAME==VERSION.

    Raises:
        Unresolvable: there is no resolution, or something in it is for CUDA.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, version in (("torch", question.torch), ("torchvision", "0.99")):
            _empty_wheel(Path(folder), name, f"{version}+rocm")
        constraints = Path(folder, "constraints.txt")
        constraints.write_text(f"torch=={question.torch}+rocm\ntorchvision==0.99+rocm\n")
        uv = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "-"]
        uv += ["--no-header", "--no-annotate", "--python-platform", "x86_64-manylinux_2_35"]
        # That Python itself is only wanted for what comes as sources, and they do for this one.
        uv += ["--python-version", question.python, "--no-python-downloads"]
        uv += ["--find-links", folder, "--default-index", INDEX]
        uv += ["--constraint", str(constraints)]
        with waiting_for(f"uv, which resolves {question.text}"):
            done = subprocess.run(
                uv,
                input="\n".join(requirements),
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
    if done.returncode:
        raise Unresolvable(done.stderr.strip())
    found = [line for line in done.stdout.splitlines() if "==" in line]
    foreign = [line for line in found if CUDA.match(line.partition("==")[0])]
    if foreign:
        raise Unresolvable(f"packages for CUDA: {', '.join(foreign)}")
    return found


def _empty_wheel(folder: Path, name: str, version: str) -> None:
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


def main() -> int:
    """Prints every resolution; 1 where one fails."""
    failed = False
    for question in questions(cells_of(load(PROJECT / "matrix.yaml"))):
        print(f"{question.text}: {', '.join(question.cells)}", flush=True)
        try:
            packages = resolved(question, asked_for(question))
        except Unresolvable as error:
            failed = True
            print(f"  {error}", file=sys.stderr)
            continue
        print("".join(f"  {package}\n" for package in packages), end="")
        print(f"  {len(packages)} packages, none for CUDA")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
