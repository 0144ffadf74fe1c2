"""AMD's own HIP runtimes, from Debian's packages, kept in the project's cache by their hashes.

hip_packages.json pins them. Debian moves: where a version is gone, the newest of its suite, or of
any suite, is taken instead, and that is noted beside the archives. apt runs in a container of the
stand-in base's root, so that any host with an engine and a network will do.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from rocm_images.engine.containers import container
from rocm_images.errors import EngineError
from rocm_images.files import write_json
from rocm_images.recipe.labels import PREFIX
from rocm_images.waiting import waiting_for

if TYPE_CHECKING:
    import docker

PINS = Path(__file__).with_suffix(".json")
CURRENT, UNSAFE = "7.2.4", "6.4.3"
"""The runtime under the images of a rehearsal, and an older one that the published bugs are in."""
_SUITES = ("sid", "experimental")
"""Where a package can have gone."""
_SECONDS = 300
_LARGEST = 256 << 20
_SCRIPT = """\
set -eu
address=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null \\
    | sed -nE 's/^deb (\\[[^]]*\\] )?([^ ]+).*/\\2/p; s/^URIs: *([^ ]+).*/\\1/p' | head -n 1)
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d
for suite in $SUITES; do echo "deb $address $suite main"; done > /etc/apt/sources.list
# A mirror that lags behind has Release files that ran out; their signatures are checked as ever.
# A list that did not come is an error: without it a package only seems to be gone.
apt-get --quiet --error-on=any --option Acquire::Check-Valid-Until=false update
for name in $NAMES; do
    apt-cache show "$name" > /dev/null 2>&1 || { echo "no suite has $name" >&2; exit "$DROPPED"; }
done
mkdir /archives
cd /archives
while [ $# -gt 0 ]; do
    apt-get --quiet --option APT::Sandbox::User=root download "$1=$2" \\
        || apt-get --quiet --option APT::Sandbox::User=root download "$1/$3" \\
        || apt-get --quiet --option APT::Sandbox::User=root download "$1"
    shift 3
done
"""
_DROPPED = 44
"""The script's exit status where Debian's lists, read whole, have no such package."""


class Dropped(EngineError):
    """Debian has a package no more, in any suite; that it cannot be reached is another error."""


@dataclass(frozen=True)
class Package:
    """One package of Debian: which version of it, and the SHA-256 of its archive."""

    name: str
    suite: str
    version: str
    sha256: str

    def archive(self, folder: Path) -> Path:
        """Where its archive lies in the cache."""
        return folder / f"{self.sha256}-{self.name}.deb"

    def is_in(self, folder: Path) -> bool:
        """Whether the cache has it, whole."""
        path = self.archive(folder)
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256


@dataclass(frozen=True)
class HipRuntime:
    """The packages of one HIP runtime; `pinned`: they are the ones that were measured."""

    release: str
    runtime: str
    packages: tuple[Package, ...]
    pinned: bool

    @property
    def whose(self) -> str:
        """The runtime's own package in words, as `libamdhip64-7 7.2.4-1~exp2 of Debian`."""
        package = next(one for one in self.packages if one.name == self.runtime)
        return f"{package.name} {package.version} of Debian"

    def is_in(self, cache: Path) -> bool:
        """Whether the cache has all of its archives, whole."""
        return all(package.is_in(cache) for package in self.packages)

    def copy_to(self, cache: Path, folder: Path) -> Path:
        """Put the archives into `folder`, and nothing else; returns it."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for package in self.packages:
            shutil.copy(package.archive(cache), folder / f"{package.name}.deb")
        return folder


def pinned() -> dict[str, HipRuntime]:
    """The runtimes of hip_packages.json by their release."""
    document = json.loads(PINS.read_text(encoding="utf-8"))
    return {
        release: HipRuntime(
            release, entry["runtime"], tuple(Package(**one) for one in entry["packages"]), True
        )
        for release, entry in document.items()
    }


def taken(cache: Path) -> dict[str, HipRuntime]:
    """The runtimes to use: the pinned ones, or what was taken where a pinned version is gone.

    A release that was not to be had the last time is left out.
    """
    found, noted = pinned(), _noted(cache)
    for release, instead in noted.items():
        if release not in found or found[release].is_in(cache):
            continue
        del found[release]
        packages = tuple(Package(**one) for one in instead or ())
        runtime = HipRuntime(release, pinned()[release].runtime, packages, False)
        if packages and runtime.is_in(cache):
            found[release] = runtime
    return found


def fetch(client: docker.DockerClient, root: str, cache: Path, release: str) -> HipRuntime:
    """The runtime of a release, with its archives in `cache`: what is not there yet is fetched.

    What was taken instead of pinned packages, and that nothing was to be had, is noted there.

    Args:
        client: an engine.
        root: an image of Debian 13, whose apt fetches and verifies the packages.
        cache: the folder of the archives.
        release: one that hip_packages.json names.

    Raises:
        Dropped: Debian has one of its packages no more.
        EngineError: it cannot be fetched.
    """
    known = taken(cache).get(release)
    if known and known.is_in(cache):
        return known
    wanted = pinned()[release]
    missing = [package for package in wanted.packages if not package.is_in(cache)]
    try:
        archives = _download(client, root, missing)
    except EngineError:
        _note(cache, {**_noted(cache), release: None})
        raise
    got = {package.name: package for package in wanted.packages}
    for name, content in archives.items():
        package, version, _ = unquote(name).split("_")
        digest = hashlib.sha256(content).hexdigest()
        got[package] = Package(package, got[package].suite, version, digest)
        _keep(got[package].archive(cache), content)
    instead = tuple(got.values())
    notes = {name: entry for name, entry in _noted(cache).items() if name != release}
    if instead != wanted.packages:
        notes[release] = [asdict(package) for package in instead]
    _note(cache, notes)
    return HipRuntime(release, wanted.runtime, instead, instead == wanted.packages)


def note_unusable(cache: Path, release: str) -> None:
    """Note that what was taken for a release does not work, so that what follows does without."""
    _note(cache, {**_noted(cache), release: None})


_Notes = dict[str, list[dict[str, str]] | None]
"""By release: the packages that were taken instead of pinned ones; None: none was to be had."""


def _noted(cache: Path) -> _Notes:
    try:
        found: _Notes = json.loads((cache / "taken.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _note(cache: Path, notes: _Notes) -> None:
    write_json(cache / "taken.json", notes)


def _keep(path: Path, content: bytes) -> None:
    """Put an archive into the cache, whole; another run may be doing the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    with os.fdopen(number, "wb") as file:
        file.write(content)
    Path(name).replace(path)


def _download(
    client: docker.DockerClient, root: str, packages: Sequence[Package]
) -> dict[str, bytes]:
    """The archives by their file names, as apt in a container of `root` downloaded them."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    suites = [one.suite for one in packages]
    words = [word for one in packages for word in (one.name, one.version, one.suite)]
    try:
        with container(
            client,
            root,
            ["sh", "-c", _SCRIPT, "fetch", *words],
            network_mode="host",
            labels={PREFIX + "rehearsal": "hip packages"},
            environment={
                "SUITES": " ".join(dict.fromkeys((*suites, *_SUITES))),
                "NAMES": " ".join(one.name for one in packages),
                "DROPPED": str(_DROPPED),
            },
            use_config_proxy=True,
        ) as fetcher:
            fetcher.start()
            with waiting_for("apt, which downloads AMD's HIP runtime in a container"):
                status = fetcher.wait(timeout=_SECONDS)["StatusCode"]
            if status != 0:
                last = fetcher.logs(tail=3).decode(errors="replace").strip()
                error_type = Dropped if status == _DROPPED else EngineError
                raise error_type(f"apt cannot fetch AMD's HIP runtimes: {last}")
            stream, _ = fetcher.get_archive("/archives")
            whole = io.BytesIO(b"".join(stream))
    except (DockerException, RequestException) as error:
        raise EngineError(f"AMD's HIP runtimes cannot be fetched: {error}") from None
    archives = {}
    with tarfile.open(fileobj=whole) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None and member.name.endswith(".deb") and member.size < _LARGEST:
                archives[Path(member.name).name] = content.read()
    return archives
