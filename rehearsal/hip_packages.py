"""AMD's own HIP runtimes, from Debian's packages, kept in the project's cache by their hashes.

hip_packages.json pins them. Debian moves: where a version is gone, the newest of its suite is
taken instead, and what was taken is noted beside the archives. apt runs in a container of the
stand-in base's root, so that any host with an engine and a network will do.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from rocm_images.errors import EngineError
from rocm_images.recipe.labels import PREFIX

if TYPE_CHECKING:
    import docker

PINS = Path(__file__).with_suffix(".json")
CURRENT, UNSAFE = "7.2.4", "6.4.3"
"""The runtime under the images of a rehearsal, and an older one that the published bugs are in."""
_SECONDS = 300
_LARGEST = 256 << 20
_SCRIPT = """\
set -eu
address=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null \\
    | sed -nE 's/^deb (\\[[^]]*\\] )?([^ ]+).*/\\2/p; s/^URIs: *([^ ]+).*/\\1/p' | head -n 1)
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d
for suite in $SUITES; do echo "deb $address $suite main"; done > /etc/apt/sources.list
# A mirror that lags behind has Release files that ran out; their signatures are checked as ever.
apt-get --quiet --option Acquire::Check-Valid-Until=false update
mkdir /archives
cd /archives
while [ $# -gt 0 ]; do
    apt-get --quiet --option APT::Sandbox::User=root download "$1=$2" \\
        || apt-get --quiet --option APT::Sandbox::User=root download "$1/$3"
    shift 3
done
"""


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
    """The runtimes to use: what was taken where a pinned version is gone, else the pinned ones.

    None where the last attempt to fetch them failed.
    """
    found, noted = pinned(), _noted(cache)
    if noted is None:
        return {}
    for release, instead in noted.items():
        packages = tuple(Package(**one) for one in instead)
        if release in found and all(one.archive(cache).is_file() for one in packages):
            found[release] = HipRuntime(release, found[release].runtime, packages, False)
    return found


def have(cache: Path, runtimes: Mapping[str, HipRuntime]) -> bool:
    """Whether the cache has the archives of all of these runtimes."""
    return all(package.is_in(cache) for one in runtimes.values() for package in one.packages)


def fetch(client: docker.DockerClient, root: str, cache: Path) -> dict[str, HipRuntime]:
    """The runtimes, with their archives in `cache`; they are fetched where they are not there yet.

    Args:
        client: an engine.
        root: an image of Debian 13, whose apt fetches and verifies the packages.
        cache: the folder of the archives.

    Raises:
        EngineError: they cannot be fetched.
    """
    found = taken(cache)
    if found and have(cache, found):
        return found
    wanted = pinned()
    archives = _download(client, root, [one for entry in wanted.values() for one in entry.packages])
    cache.mkdir(parents=True, exist_ok=True)
    got: dict[str, Package] = {}
    for name, content in archives.items():
        package, version, _ = unquote(name).split("_")
        suite = next(
            one.suite for entry in wanted.values() for one in entry.packages if one.name == package
        )
        got[package] = Package(package, suite, version, hashlib.sha256(content).hexdigest())
        partial = got[package].archive(cache).with_suffix(".partial")
        partial.write_bytes(content)
        partial.replace(got[package].archive(cache))
    instead = {
        release: [asdict(got[package.name]) for package in entry.packages]
        for release, entry in wanted.items()
        if any(got[package.name] != package for package in entry.packages)
    }
    _note(cache, instead)
    return taken(cache)


def note_unavailable(cache: Path) -> None:
    """Note that the packages are not to be had, so that what follows does without them."""
    _note(cache, None)


def _noted(cache: Path) -> dict[str, list[dict[str, str]]] | None:
    """What was taken instead of pinned packages; None where nothing was to be had."""
    try:
        text = (cache / "taken.json").read_text(encoding="utf-8")
    except OSError:
        return {}
    try:
        found: dict[str, list[dict[str, str]]] | None = json.loads(text)
    except ValueError:
        return {}
    return found


def _note(cache: Path, instead: Mapping[str, Sequence[Mapping[str, str]]] | None) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "taken.json").write_text(json.dumps(instead, indent=2) + "\n", encoding="utf-8")


def _download(
    client: docker.DockerClient, root: str, packages: Sequence[Package]
) -> dict[str, bytes]:
    """The archives by their file names, as apt in a container of `root` downloaded them."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    words = [word for one in packages for word in (one.name, one.version, one.suite)]
    try:
        container = client.containers.create(
            root,
            ["sh", "-c", _SCRIPT, "fetch", *words],
            network_mode="host",
            labels={PREFIX + "rehearsal": "hip packages"},
            environment={"SUITES": " ".join(dict.fromkeys(one.suite for one in packages))},
            use_config_proxy=True,
        )
        try:
            container.start()
            status = container.wait(timeout=_SECONDS)["StatusCode"]
            if status != 0:
                last = container.logs(tail=3).decode(errors="replace").strip()
                raise EngineError(f"apt cannot fetch AMD's HIP runtimes: {last}")
            stream, _ = container.get_archive("/archives")
            whole = io.BytesIO(b"".join(stream))
        finally:
            container.remove(force=True)
    except (DockerException, RequestException) as error:
        raise EngineError(f"AMD's HIP runtimes cannot be fetched: {error}") from None
    archives = {}
    with tarfile.open(fileobj=whole) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None and member.name.endswith(".deb") and member.size < _LARGEST:
                archives[Path(member.name).name] = content.read()
    return archives
