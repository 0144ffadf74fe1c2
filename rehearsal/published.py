"""What PyPI has of a server, and what that asks for on AMD GPUs, for `make recipe-check`.

templates/servers/NAME/published.yaml says, beside the recipe, where it is to be read.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from email.parser import BytesParser
from pathlib import Path, PurePosixPath

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, ValidationError

from rocm_images.files import write_whole
from rocm_images.places import TEMPLATES
from rocm_images.waiting import waiting_for

INDEX = "https://pypi.org/simple"
SECONDS = 600
_ANSWER_SECONDS = 60
_MOST_BYTES = 1 << 28


class Unresolvable(Exception):
    """A resolution cannot be asked for, failed, or has packages for CUDA; the text says which."""


class Published(BaseModel):
    """Where the requirements of one server are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = ""
    """The file in its sources that lists them. Without, they are in the metadata of its wheel."""
    for_cuda: frozenset[str] = frozenset()
    """The distributions in that wheel's metadata that its tree does not ask for on AMD GPUs."""
    extras: dict[str, tuple[str, ...]] = {}
    """What each extra of its tree adds to them."""


def published(server: str) -> Published:
    """What is known of a server.

    Raises:
        Unresolvable: nothing is, or it cannot be read.
    """
    place = TEMPLATES / "servers" / server / "published.yaml"
    try:
        return Published.model_validate(yaml.safe_load(place.read_text()))
    except FileNotFoundError:
        raise Unresolvable(f"{place} is missing: say where its requirements are") from None
    except (OSError, ValueError, yaml.YAMLError, ValidationError) as error:
        raise Unresolvable(f"{place}: {error}") from None


def requirements_of(
    where: Published, name: str, version: str, python: str, extra: str, folder: Path
) -> list[str]:
    """What one release asks for on AMD GPUs, as lines for a resolver.

    Args:
        where: what is known of the server.
        name: its distribution on PyPI.
        version: the release.
        python: the Python that it is for.
        extra: of its wheel; "" for none.
        folder: keeps what was fetched.

    Raises:
        Unresolvable: PyPI does not give it, or an extra is not known.
    """
    if where.file:
        return [f"-r {file_of(where.file, sources_of(name, version, folder), folder)}"]
    if extra and extra not in where.extras:
        raise Unresolvable(f"the pins of the extra {extra!r} are not known here: add them")
    with zipfile.ZipFile(wheel_of(name, version, python, folder)) as opened:
        (file,) = (n for n in opened.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = BytesParser().parsebytes(opened.read(file))
    plain = [text for text in metadata.get_all("Requires-Dist", []) if "extra ==" not in text]
    kept = [t for t in plain if canonicalize_name(Requirement(t).name) not in where.for_cuda]
    return [*kept, *where.extras.get(extra, ())]


def wheel_of(name: str, version: str, python: str, folder: Path) -> Path:
    """A wheel of PyPI, kept in a folder.

    Raises:
        Unresolvable: it cannot be fetched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pattern = f"{name}-{version}-*.whl"
    if not list(folder.glob(pattern)):
        words = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        words += ["--no-deps", "--only-binary=:all:", f"--python-version={python}"]
        words += ["--platform=manylinux_2_34_x86_64", f"--dest={folder}", f"{name}=={version}"]
        with waiting_for(f"pip, which downloads {name} {version}"):
            done = subprocess.run(
                words, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        if done.returncode:
            raise Unresolvable(done.stderr.strip().splitlines()[-1])
    return next(folder.glob(pattern))


def sources_of(name: str, version: str, folder: Path) -> Path:
    """The archive of sources that PyPI has, by the digest that it has of it, kept in a folder.

    pip would begin to build it, and fetch what that takes.

    Raises:
        Unresolvable: it cannot be fetched.
    """
    kept = folder / f"{name}-{version}.tar.gz"
    if kept.is_file():
        return kept
    accepted = {"Accept": "application/vnd.pypi.simple.v1+json"}
    try:
        listed = _fetched(urllib.request.Request(f"{INDEX}/{name}/", headers=accepted))
        (file,) = (f for f in json.loads(listed)["files"] if f["filename"] == kept.name)
        content = _fetched(urllib.request.Request(file["url"]))
        if hashlib.sha256(content).hexdigest() != file["hashes"]["sha256"]:
            raise Unresolvable(f"{kept.name} is not what {INDEX} says that it is")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unresolvable(f"{INDEX} gives no {kept.name}: {error}") from None
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(kept, content, lasting=False)
    return kept


def file_of(file: str, archive: Path, folder: Path) -> Path:
    """A file of an archive of sources, taken out with those beside it, which it may name."""
    place = folder / archive.name.removesuffix(".tar.gz")
    beside = PurePosixPath(archive.name.removesuffix(".tar.gz"), file).parent
    with tarfile.open(archive) as opened:
        for member in opened:
            content = opened.extractfile(member) if member.isfile() else None
            if content and PurePosixPath(member.name).parent == beside:
                taken = folder / beside / PurePosixPath(member.name).name
                taken.parent.mkdir(parents=True, exist_ok=True)
                write_whole(taken, content.read(_MOST_BYTES), lasting=False)
    if not (place / file).is_file():
        raise Unresolvable(f"{archive.name} has no {file}")
    return place / file


def _fetched(request: urllib.request.Request) -> bytes:
    with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:
        content: bytes = answer.read(_MOST_BYTES)
    return content
