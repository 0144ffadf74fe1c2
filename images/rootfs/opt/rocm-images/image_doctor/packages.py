"""Checks the installed Python packages: torch for HIP, nothing for CUDA, one Triton, the pins."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

from image_doctor.check import Check, failed, first_few, not_run, passed
from image_doctor.image import REBUILD, Image, canonical
from image_doctor.source_tree import MOST_BYTES
from image_facts.foreign import content_of

# Every distribution that installs the import package `triton`.
TRITON_NAMES = ("triton", "pytorch-triton", "pytorch-triton-rocm", "triton-rocm", "amd-triton")
# Asks the driver of an NVIDIA GPU for its state; it brings no CUDA and pins no torch.
HARMLESS_NVIDIA = {"nvidia-ml-py"}
CUDA_VERSION = re.compile(r"\+.*cu\d")
KEEP_CONSTRAINTS = (
    "Rebuild the image; do not override PIP_CONSTRAINT, which keeps pip from replacing ROCm's torch"
    " (sgl-project/sglang#22037)."
)


def version_facts(path: Path) -> dict[str, object]:
    """The constants of a torch/version.py, read without importing it.

    Raises OSError, SyntaxError, ValueError, RecursionError or MemoryError where it is none that
    Python can read.
    """
    facts: dict[str, object] = {}
    for node in ast.parse(content_of(path, MOST_BYTES)).body:
        if isinstance(node, ast.AnnAssign):
            targets: list[ast.expr] = [node.target]
        elif isinstance(node, ast.Assign):
            targets = node.targets
        else:
            continue
        if isinstance(node.value, ast.Constant):
            facts.update({t.id: node.value.value for t in targets if isinstance(t, ast.Name)})
    return facts


def check_torch(image: Image) -> Check:
    """torch.version.hip is set and torch.version.cuda is None."""
    name = "torch"
    if image.site_packages is None:
        return failed(name, "there is no /opt/venv with Python packages.", REBUILD)
    path = image.site_packages / "torch" / "version.py"
    try:
        facts = version_facts(path)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return failed(name, f"{image.shown(path)} cannot be read: {error}.", REBUILD)
    version, hip, cuda = facts.get("__version__"), facts.get("hip"), facts.get("cuda")
    if cuda or not hip:
        built = f"CUDA {cuda}" if cuda else "no GPU at all"
        return failed(name, f"torch {version} is built for {built}, not for HIP.", KEEP_CONSTRAINTS)
    return passed(name, f"torch {version} is built for HIP {hip}.")


def check_no_cuda(image: Image) -> Check:
    """No distribution of NVIDIA, and no torch package built for CUDA."""
    name = "no-cuda"
    if not image.distributions:
        return not_run(name, "/opt/venv holds no Python packages to look at.", REBUILD)
    foreign = []
    for package, distribution in sorted(image.distributions.items()):
        nvidia = package.startswith("nvidia-") and package not in HARMLESS_NVIDIA
        cuda_torch = package.startswith("torch") and CUDA_VERSION.search(distribution.version)
        if nvidia or cuda_torch:
            foreign.append(f"{package} {distribution.version}")
    if foreign:
        return failed(name, f"packages for CUDA are installed: {first_few(foreign)}.",
                      KEEP_CONSTRAINTS)  # fmt: skip
    return passed(name, f"none of {len(image.distributions)} packages is for CUDA.")


def check_triton(image: Image) -> Check:
    """Exactly one distribution provides Triton, at the pin of image.json."""
    name = "triton"
    if not image.distributions:
        return not_run(name, "/opt/venv holds no Python packages to look at.", REBUILD)
    found = {n: image.distributions[n].version for n in TRITON_NAMES if n in image.distributions}
    if len(found) != 1:
        listed = ", ".join(f"{n} {version}" for n, version in found.items()) or "none"
        return failed(
            name,
            f"exactly one Triton must be installed; there is {listed}.",
            "Uninstall all of them and install the one of image.json with --no-deps.",
        )
    pins = {canonical(n): version for n, version in image.facts.packages.items()}
    ((installed, version),) = found.items()
    if installed not in pins:
        return failed(name, f"{installed} {version} is installed, image.json pins none of that "
                      "name.", REBUILD)  # fmt: skip
    if version != pins[installed]:
        return failed(
            name,
            f"{installed} {version} is installed, the pin is {pins[installed]}.",
            f"Install {installed}=={pins[installed]} with --no-deps (sgl-project/sglang#34364).",
        )
    return passed(name, f"{installed} {version}.")


def check_versions(image: Image) -> Check:
    """The server, what is built for it, and the pinned packages have the versions of image.json."""
    name = "versions"
    built: dict[str, str | None] = dict.fromkeys(image.server.distributions.values())
    expected = built | {**image.facts.versions, **image.facts.packages}
    expected = {canonical(n): version for n, version in expected.items()}
    wrong = []
    for package, version in expected.items():
        distribution = image.distributions.get(package)
        if version is None:
            wrong.append(f"image.json names no version of {package}")
        elif distribution is None:
            wrong.append(f"{package} is not installed, image.json says {version}")
        elif distribution.version != version:
            wrong.append(f"{package} is {distribution.version}, image.json says {version}")
    for names in image.server.also_built:
        found = next((n for n in names if n in image.distributions), None)
        if found is None:
            wrong.append(f"{names[0]} is not installed")
        else:
            expected[names[0]] = image.distributions[found].version
    if wrong:
        return failed(name, first_few(wrong) + ".", REBUILD)
    listed = ", ".join(f"{package} {version}" for package, version in expected.items())
    return passed(name, f"{listed}.")


def check_pip(image: Image) -> Check:
    """`pip check` of the image's own interpreter: every requirement of every package is met."""
    name = "pip-check"
    python = image.path("/opt/venv/bin/python")
    if not python.exists():
        return not_run(name, "there is no /opt/venv/bin/python to run pip with.", REBUILD)
    environment = {k: v for k, v in image.environment.items() if not k.startswith("PYTHON")}
    try:
        answer = subprocess.run(
            [str(python), "-m", "pip", "--disable-pip-version-check", "check"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return not_run(name, f"pip gave no answer: {error}.", "Run /opt/venv/bin/pip check.")
    said = [line for line in answer.stdout.splitlines() if line.strip()]
    if answer.returncode == 0:
        return passed(name, " ".join(said) or "no broken requirements.")
    if not said:
        why = answer.stderr.strip().splitlines()[-1:] or [f"exit code {answer.returncode}"]
        return not_run(name, f"pip gave no answer: {why[0]}.", "Run /opt/venv/bin/pip check.")
    return failed(
        name,
        first_few(said) + ".",
        "Install what is missing with --no-deps, or undo the install that changed it.",
    )
