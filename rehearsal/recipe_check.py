"""Resolves the real requirements of every SGLang in the matrix, as the recipe installs them.

Run by `make recipe-check`. The package index is all that it needs: torch is a stand-in of the
base's version without requirements, and what SGLang's tree asks for on AMD GPUs is the list of its
wheel on PyPI without what is for CUDA, and with the pins of the extra. Nothing is installed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from packaging.requirements import Requirement  # noqa: E402

from rocm_images.plan.cells import Cell, cells_of  # noqa: E402
from rocm_images.plan.load import load  # noqa: E402

# Of the wheel's requirements, which are for CUDA: python/pyproject_other.toml has none of them.
FOR_CUDA = {
    *("apache-tvm-ffi", "compressed-tensors", "cuda-python", "cuda-tile", "decord2"),
    *("flash-attn-4", "flashinfer-python", "humming-kernels", "kernels", "nvidia-cutlass-dsl"),
    *("nvidia-mathdx", "nvshmem4py-cu13", "quack-kernels", "sgl-deep-ep", "sgl-deep-gemm"),
    *(
        "sgl-flash-mla",
        "sglang-kernel",
        "tilelang",
        "tokenspeed-mla",
        "torch",
        "torch-memory-saver",
        "torchaudio",
    ),
    *("torchcodec", "torchvision"),
}
# What the extras of python/pyproject_other.toml add, as read in a tree of September 2026.
OF_EXTRA = {
    "srt_hip": ("compressed-tensors==0.15.0", "petit_kernel==0.0.2", "wave-lang==3.8.2"),
    "srt_hip_rocm724": (
        *("compressed-tensors==0.16.0", "torch==2.11.0"),
        *("petit_kernel==0.0.2", "wave-lang==3.8.2"),
    ),
}
# AITER's requirements.txt at c16d44b, with the flydsl of acf8fdf9.
OF_AITER = (
    *("pandas", "psutil==7.2.2", "pyyaml==6.0.3", "einops==0.8.2", "pybind11==3.0.4"),
    *("matplotlib==3.10.9", "pytest==9.0.3", "ninja==1.13.0", "flydsl==0.3.2"),
)
# nvidia-ml-py asks a driver for its state and brings no CUDA.
CUDA = re.compile(r"^(?:nvidia-(?!ml-py)|cuda-|.*-cu1\d$)")
INDEX = "https://pypi.org/simple"
SECONDS = 600


@dataclass(frozen=True)
class Question:
    """One thing to resolve; the cells that ask for it."""

    version: str
    python: str
    torch: str
    extra: str
    cells: tuple[str, ...]


class Unresolvable(Exception):
    """A resolution failed, or has packages for CUDA; the text says which."""


def questions(cells: Sequence[Cell]) -> Iterator[Question]:
    """What the cells ask for, once each."""
    asked: dict[tuple[str, ...], list[str]] = {}
    for cell in cells:
        extra = cell.extra.name if cell.extra else ""
        key = (cell.version, cell.python, cell.torch, extra)
        asked.setdefault(key, []).append(cell.name)
    for (version, python, torch, extra), names in asked.items():
        yield Question(version, python, torch, extra, tuple(names))


def requirements_of(wheel: Path, extra: str) -> list[str]:
    """What SGLang asks for on AMD GPUs, from its wheel and the extra.

    Raises:
        Unresolvable: the extra is not known here.
    """
    if extra not in OF_EXTRA:
        raise Unresolvable(f"the pins of the extra {extra!r} are not known here: add them")
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (n for n in opened.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = BytesParser().parsebytes(opened.read(name))
    plain = [text for text in metadata.get_all("Requires-Dist", []) if "extra ==" not in text]
    kept = [text for text in plain if _canonical(Requirement(text).name) not in FOR_CUDA]
    return [*kept, *OF_EXTRA[extra], *OF_AITER]


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
        uv += [
            "--python-version",
            question.python,
            "--find-links",
            folder,
            "--default-index",
            INDEX,
        ]
        uv += ["--constraint", str(constraints)]
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


def wheel_of(version: str, python: str, folder: Path) -> Path:
    """SGLang's wheel of PyPI, kept in a folder.

    Raises:
        Unresolvable: it cannot be fetched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pattern = f"sglang-{version}-*.whl"
    if not list(folder.glob(pattern)):
        words = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        words += ["--no-deps", "--only-binary=:all:", f"--python-version={python}"]
        words += ["--platform=manylinux_2_34_x86_64", f"--dest={folder}", f"sglang=={version}"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode:
            raise Unresolvable(done.stderr.strip().splitlines()[-1])
    return next(folder.glob(pattern))


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


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    """Prints every resolution; 1 where one fails."""
    failed = False
    for question in questions(cells_of(load(PROJECT / "matrix.yaml"))):
        title = f"SGLang {question.version}[{question.extra}], Python {question.python}, "
        print(f"{title}torch {question.torch}: {', '.join(question.cells)}", flush=True)
        try:
            wheel = wheel_of(question.version, question.python, PROJECT / ".cache" / "wheels")
            packages = resolved(question, requirements_of(wheel, question.extra))
        except Unresolvable as error:
            failed = True
            print(f"  {error}", file=sys.stderr)
            continue
        print("".join(f"  {package}\n" for package in packages), end="")
        print(f"  {len(packages)} packages, none for CUDA")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
