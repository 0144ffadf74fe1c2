"""Unpacks packages of the distribution into a folder of the project, without installing them.

apt downloads and verifies them by the host's own configuration and keys; nothing on the host is
installed, upgraded or started. Debian 12's own Docker packages are too old, so there the ones of
Debian 13 are taken from the same mirror; but its runc needs a newer C library, so that one is
Debian 12's.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rocm_images.errors import EngineError
from rocm_images.files import write_whole
from rocm_images.streams import GivenUp
from rocm_images.supervisor import supervisor
from rocm_images.waiting import waiting_for

_SECONDS = 1800.0
"""The most that a mirror is given."""

_DEBIAN_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclass(frozen=True)
class Distribution:
    """Which packages hold the engine on one distribution, by the suite they are taken from."""

    codename: str
    packages: dict[str, tuple[str, ...]]
    """Suite -> packages. The suite "" stands for the host's own sources."""

    @property
    def is_debian(self) -> bool:
        """Whether its mirror has Debian's releases."""
        return self.codename in ("bookworm", "trixie")


_UBUNTU = (
    *("docker.io", "docker-buildx", "containerd", "runc", "tini", "mmdebstrap"),
    "docker-registry",
)
_DISTRIBUTIONS = {
    ("debian", "12"): Distribution(
        "bookworm",
        {
            "trixie": (
                *("docker.io", "docker-cli", "docker-buildx", "containerd"),
                *("docker-registry", "cosign"),
            ),
            "bookworm": ("runc", "tini", "mmdebstrap"),
        },
    ),
    ("debian", "13"): Distribution(
        "trixie",
        {
            "": (
                *("docker.io", "docker-cli", "docker-buildx", "containerd", "runc", "tini"),
                *("mmdebstrap", "docker-registry", "cosign"),
            )
        },
    ),
    ("ubuntu", "22.04"): Distribution("jammy", {"": _UBUNTU}),
    ("ubuntu", "24.04"): Distribution("noble", {"": _UBUNTU}),
}


def distribution() -> Distribution:
    """This host's distribution.

    Raises:
        EngineError: it is not one whose packages are known, or its package tools are missing.
    """
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    found = _DISTRIBUTIONS.get((release.get("ID", ""), release.get("VERSION_ID", "")))
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if found is None or missing:
        name = release.get("PRETTY_NAME", platform.system())
        raise EngineError(
            f"no private engine can be set up on {name}"
            + (f" ({' and '.join(missing)} not found)" if missing else "")
            + ": this is known for Debian 12 and 13, Ubuntu 22.04 and 24.04. Install Docker Engine "
            "23 or later with buildx and start it; the rehearsal then uses that one"
        )
    return found


ENGINE_PROGRAMS = ("dockerd", "runc", "containerd", "docker-registry")


def unpack(
    folder: Path,
    host: Distribution,
    *,
    programs: tuple[str, ...] = ENGINE_PROGRAMS,
    with_dependencies: bool = False,
) -> Path:
    """Download and unpack the packages of `host` below `folder`, once; returns their root.

    Args:
        folder: everything is below it.
        host: the packages, by suite.
        programs: what must run afterwards.
        with_dependencies: whether to unpack what the packages need and this host lacks as well.
            What is named is unpacked wherever it is installed, too: its files look for each other.

    Raises:
        EngineError: apt cannot fetch them, or a package does not fit this host.
    """
    root, finished = folder / "root", folder / "unpacked"
    wanted = " ".join(f"{s}:{p}" for s, ps in host.packages.items() for p in ps)
    if finished.is_file() and finished.read_text() == wanted:
        return root
    shutil.rmtree(folder, ignore_errors=True)
    archives = folder / "archives"
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    archives.mkdir()
    # By the host's own sources first: they name its mirror.
    environment = _environment(folder)
    _apt(["update", "--quiet"], environment, archives)
    address = _mirror(host.codename, environment)
    write_whole(folder / "mirror", address)
    suites = [suite for suite in host.packages if suite]
    if suites:
        sources = folder / "sources.list"
        sources.write_text(
            "".join(f"deb [signed-by={_DEBIAN_KEYS}] {address} {suite} main\n" for suite in suites)
        )
        environment = _environment(folder, sources)
        _apt(["update", "--quiet"], environment, archives)
    names = [f"{p}/{s}" if s else p for s, ps in host.packages.items() for p in ps]
    root.mkdir()
    if with_dependencies:
        plan = ["install", "--simulate", "--quiet", "--no-install-recommends", *names]
        planned = _apt([*plan, "-o", "Debug::NoLocking=true"], environment, archives)
        names = lacking(names, planned, _installed())
    _apt(["download", "--quiet", *names], environment, archives)
    fetched = sorted(archives.glob("*.deb"))
    with waiting_for("dpkg-deb, which unpacks packages") as wait:
        for number, archive in enumerate(fetched):
            wait.at(f"{number} of {len(fetched)}, at {archive.name.partition('_')[0]}")
            subprocess.run(["dpkg-deb", "--extract", archive, root], check=True)
    shutil.rmtree(archives)
    _check_libraries(root, programs)
    write_whole(finished, wanted)
    return root


def mirror(folder: Path) -> str:
    """The address from which the host takes its own packages, as `unpack` found it."""
    return (folder / "mirror").read_text()


def _mirror(codename: str, environment: dict[str, str]) -> str:
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for line in targets.splitlines():
        address, _, rest = line.partition(" ")
        if rest == f"{codename} main":
            return address.rstrip("/")
    raise EngineError(f"apt has no source for {codename} main: add one, so packages can be fetched")


def _environment(folder: Path, sources: Path | None = None) -> dict[str, str]:
    """apt's environment with its state in `folder`; proxies and the like stay the host's."""
    lines = [
        f'Dir::State::lists "{folder}/lists";',
        # As if nothing were installed: neither what is held back nor what is newer, or broken,
        # on the host changes what is found.
        f'Dir::State::status "{folder}/status";',
        f'Dir::Cache "{folder}/cache";',
        'Dir::Etc::preferences "/dev/null";',
        'Dir::Etc::preferencesparts "/dev/null";',
        # The folder belongs to root, so apt's download user could not write there.
        'APT::Sandbox::User "root";',
    ]
    if sources:
        lines += [f'Dir::Etc::sourcelist "{sources}";', 'Dir::Etc::sourceparts "/dev/null";']
    (folder / "status").touch()
    configuration = folder / "apt.conf"
    configuration.write_text("\n".join(lines) + "\n")
    return {**os.environ, "APT_CONFIG": str(configuration)}


def _apt(arguments: list[str], environment: dict[str, str], folder: Path) -> str:
    output = ""
    try:
        with waiting_for(f"apt-get {arguments[0]}") as wait:
            done = supervisor.run(
                ["apt-get", *arguments],
                environment,
                seconds=_SECONDS,
                folder=folder,
                on_line=wait.at,
            )
        complaint = "; ".join(line for line in done.errors.splitlines() if line.startswith("E:"))
        complaint = complaint or str(done.status)
        failed, output = done.status != 0, done.output
    except GivenUp as error:
        failed, complaint = True, str(error)
    if failed:
        raise EngineError(
            f"apt-get {arguments[0]} failed ({complaint}): check that this "
            "machine reaches its package mirror"
        )
    return output


def lacking(names: list[str], planned: str, installed: set[str]) -> list[str]:
    """The packages that are named, and what else apt plans to install and the host has not."""
    lines = [line.split() for line in planned.splitlines()]
    plan = [words[1] for words in lines if words[:1] == ["Inst"]]
    return [*names, *(name for name in plan if name not in installed and name not in names)]


def _installed() -> set[str]:
    form = "${db:Status-Status} ${Package}\n"
    words = ["dpkg-query", "--show", f"--showformat={form}"]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    return {
        name for state, _, name in (line.partition(" ") for line in lines) if state == "installed"
    }


def _check_libraries(root: Path, programs: tuple[str, ...]) -> None:
    """A package of another release can need a newer C library than the host has."""
    for name in programs:
        program = root / "usr/sbin" / name
        found = program if program.exists() else root / "usr/bin" / name
        answer = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            raise EngineError(f"{found.name} does not run on this host: {answer.stderr.strip()}")
