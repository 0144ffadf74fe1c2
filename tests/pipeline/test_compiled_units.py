"""A build goes on from what an earlier one compiled, on the same machine and on another one.

How often ccache found a unit is what ccache itself counts, and each compile step prints.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from checkouts import Answer, Checkout
from four_cells import MATRIX

from conftest import Keys
from registry import Registry
from rehearsal import stand_ins
from rocm_images.engine.buildx import BuildRequest, Buildx, command
from rocm_images.places import ROOTFS
from rocm_images.plan.cells import cells_of
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository

# It empties a cache mount that other builds write to.
pytestmark = pytest.mark.images
CELL = "sglang-942-rocm7.2.2"
UNITS = 6
"""Of the stand-in for AITER: one for each of its modules."""


@pytest.fixture
def aiter(tmp_path: Path) -> Path:
    """A checkout of the stand-in for AITER, whose units no other test has."""
    tree = tmp_path / "aiter"
    shutil.copytree(stand_ins.SOURCES / "aiter", tree)
    setup = tree / "setup.py"
    # A macro that the unit sees, and another one in each module.
    mark = f'"{uuid.uuid4().hex}-" + kernel'
    text = setup.read_text()
    assert text.count("macros = {") == 1
    setup.write_text(text.replace("macros = {", f'macros = {{"MARK": {mark}, '))
    host = tree / "csrc" / "host.cpp"
    host.write_text(host.read_text() + 'extern "C" const char *mark() { return MARK; }\n')
    return tree


@dataclass(frozen=True)
class Stages:
    """Builds of single stages of the cell's recipe."""

    engine: Buildx
    checkout: Checkout
    aiter: Path
    folder: Path

    def built(self, target: str, *more: str) -> subprocess.CompletedProcess[str]:
        (cell,) = [one for one in cells_of(MATRIX) if one.name == CELL]
        text = (self.checkout.build / "rendered" / CELL / "Dockerfile").read_text()
        dockerfile = self.folder / "Dockerfile"
        dockerfile.write_text(f"{text}\nFROM scratch AS wheels\nCOPY --from=aiter /wheels/ /\n")
        request = BuildRequest(
            dockerfile=dockerfile,
            directory=ROOTFS,
            references=(),
            contexts={
                **stand_ins.Rehearsal().replaced(MATRIX, cell),
                "aiter-src": str(self.aiter),
            },
            labels={},
            log=Path(),
            target=target,
            build_args={"SOURCE_DATE_EPOCH": str(cell.epoch)},
            replaced=True,
        )
        *words, context = command(self.engine, request)
        return subprocess.run(
            [*words, *more, context],
            env=dict(self.engine.environment),
            capture_output=True,
            text=True,
            check=False,
        )

    def empty_mount(self) -> None:
        """Another machine: BuildKit empties a cache mount where it is told to use no cache."""
        done = self.built("units", "--no-cache-filter=units", "--output=type=cacheonly")
        # It copies what is there, and there is nothing.
        assert "cannot stat '/var/cache/ccache/[0-9a-f]'" in done.stderr

    def wheel(self, name: str, *more: str) -> tuple[bytes, str]:
        """AITER's wheel, and what the build said."""
        to = self.folder / name
        done = self.built("wheels", f"--output=type=local,dest={to}", *more)
        assert done.returncode == 0, done.stderr
        (wheel,) = to.glob("*.whl")
        return wheel.read_bytes(), done.stderr


def build(checkout: Checkout, tree: Path, cache: str, keys: Keys) -> Answer:
    return checkout.build_py(
        *("--rehearse", "--no-smoke", "--arch", "942", "--base", "7.2.2"),
        *("--context", f"aiter-src={tree}", "--cache", cache, "--sign-key", str(keys.ours)),
        environment=keys.environment,
    )


def counted(log: str) -> tuple[int, int]:
    """How many units of AITER ccache found, and how many it did not."""
    (step,) = set(re.findall(r"^(#\d+) \[aiter \d+/\d+\] .*/run/ccache/use", log, re.MULTILINE))
    lines = [line for line in log.splitlines() if line.startswith(f"{step} ")]
    hits, misses = (
        next(int(m[1]) for line in lines if (m := re.search(rf" {kind}: +(\d+)", line)))
        for kind in ("Hits", "Misses")
    )
    return hits, misses


def test_a_build_that_died_goes_on_on_another_machine(
    elsewhere: Checkout,
    aiter: Path,
    registry: Registry,
    keys: Keys,
    buildx: Buildx,
    client: docker.DockerClient,
    tmp_path: Path,
) -> None:
    cache = f"{registry.address}/team/cache"
    setup = aiter / "setup.py"
    whole = setup.read_text()
    setup.write_text(whole + "\nsys.exit('the machine goes away')\n")
    died = build(elsewhere, aiter, cache, keys)
    assert (died.code, died.summary[CELL]["result"]) == (1, "build failed"), died.stderr
    repository = Repository(RegistryAddress.parse(f"{registry.address}/team"), "cache")
    digest = repository.digest_of(f"{CELL}-units")
    assert digest is not None
    # The engine has it no more: it is no image to run.
    assert not client.images.list(f"{cache}:{CELL}-units")

    stages = Stages(buildx, elsewhere, aiter, tmp_path)
    stages.empty_mount()
    # This one takes them, and compiles nothing itself.
    setup.write_text("raise SystemExit('this machine, too')\n" + whole)
    again = build(elsewhere, aiter, cache, keys)
    assert (again.code, again.summary[CELL]["result"]) == (1, "build failed"), again.stderr
    taken = elsewhere.build / "logs" / f"{CELL}.units-in.log"
    assert f"{cache}@{digest}" in taken.read_text()
    setup.write_text(whole)
    found, said = stages.wheel("found")
    assert counted(said) == (UNITS, 0)

    # Nothing of it shows in what is built: one compiled from nothing is the same bytes.
    compiled, said = stages.wheel("compiled", "--no-cache-filter=aiter")
    assert counted(said) == (0, UNITS)
    assert found == compiled
