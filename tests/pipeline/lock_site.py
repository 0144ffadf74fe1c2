"""The project's matrix with bases in a test's registry and a source in a test's repository."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import four_cells
from checkouts import Answer, Checkout

from registry import Registry
from rocm_images.engine.connect import Engine
from rocm_images.lock.file import is_commit, read, source_key
from rocm_images.plan.cells import cells_of
from rocm_images.servers import DEFAULT, SERVERS

GIT = "https://github.com/sgl-project/sglang.git"
# Sources that the matrix names by a commit, which need no answer.
FIXED = {
    source_key(source): source.ref
    for cell in cells_of(four_cells.MATRIX)
    if cell.server is DEFAULT
    for source in cell.sources.values()
    if is_commit(source.ref)
}
OLDER = "rocm/pytorch:rocm7.2_ubuntu22.04_py3.10_pytorch_release_2.9.1"
NEWER = "rocm/pytorch:rocm7.2.2_ubuntu22.04_py3.10_pytorch_release_2.9.1"


@dataclass(frozen=True)
class Repository:
    """A git repository on this machine that the matrix names by an https address."""

    folder: Path

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")


def instead_of(target: str | Path) -> dict[str, str]:
    """The environment in which git takes the target for the sources' address."""
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{target}.insteadOf",
        "GIT_CONFIG_VALUE_0": GIT,
    }


def _repository(folder: Path) -> Repository:
    folder.mkdir()
    made = Repository(folder)
    made.git("init", "--quiet", "--initial-branch=main")
    made.commit("first")
    made.git("tag", "v0.5.21")
    return made


@dataclass(frozen=True)
class Site:
    """The project's matrix with its bases in the test's registry, and build.py run on it."""

    registry: Registry
    repository: Repository
    folder: Path
    environment: Mapping[str, str]
    checkout: Checkout

    @property
    def lock(self) -> Path:
        return self.folder / "matrix.lock"

    @property
    def older(self) -> str:
        return f"{self.registry.address}/{OLDER}"

    @property
    def newer(self) -> str:
        return f"{self.registry.address}/{NEWER}"

    def entries(self) -> dict[str, str]:
        return read(self.lock).entries

    def write_matrix(self, *replacements: tuple[str, str]) -> None:
        """The images of the default server alone: one repository is all that it takes."""
        text = four_cells.PATH.read_text()
        others = [
            f"  - {{server: {name}, why: a test}}\n" for name in SERVERS if name != DEFAULT.name
        ]
        left_out = ("exclude: []\n", f"exclude:\n{''.join(others)}")
        for old, new in (left_out, (OLDER, self.older), (NEWER, self.newer), *replacements):
            assert old in text
            text = text.replace(old, new)
        (self.folder / "matrix.yaml").write_text(text)

    def push(self, reference: str, content: str) -> str:
        name, tag = reference.removeprefix(f"{self.registry.address}/").split(":")
        return self.registry.push(name, tag, {"content": content})

    def run(self, *arguments: str, **environment: str) -> Answer:
        matrix = str(self.folder / "matrix.yaml")
        answer = self.checkout.build_py(
            "lock",
            f"--matrix={matrix}",
            *arguments,
            environment={**self.environment, **environment},
        )
        assert "Traceback" not in answer.stderr
        return answer


def make_site(registry: Registry, running_engine: Engine, folder: Path, checkout: Checkout) -> Site:
    """Both bases are in the registry, and the tag v0.5.21 is in the repository."""
    repository = _repository(folder / "sglang")
    environment = {**running_engine.environment, **instead_of(repository.folder)}
    # What is stopped here does not come back by itself.
    environment["ROCM_IMAGES_ATTEMPTS"] = "1"
    site = Site(registry, repository, folder / "site", environment, checkout)
    site.folder.mkdir()
    site.write_matrix()
    site.push(site.older, "older")
    site.push(site.newer, "newer")
    return site
