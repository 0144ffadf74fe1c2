"""Two machines with engines of their own share nothing but a registry; a third one publishes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from four_cells import MATRIX

from conftest import PROJECT, Answer, Keys
from publishing_site import listed
from registry import Registry
from rehearsal.engine import PrivateEngine
from rehearsal.stand_ins import base_reference
from rocm_images.engine.connect import Engine, connect
from rocm_images.smoke.emulator import reference as emulator_reference

OTHER_BASE = "7.2.2"
"""That of the image which the second engine builds."""


@dataclass(frozen=True)
class Machine:
    """A checkout with a state of its own, and the environment of its processes."""

    checkout: Path
    environment: Mapping[str, str]

    def build_py(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(self.checkout / "build.py"), *words],
            cwd=self.checkout,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )


def checkout(folder: Path) -> Path:
    """The files that git would have, without anything that was made from them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name, follow_symlinks=False)
    return folder


@pytest.fixture
def other_engine(real_engine: Engine, tmp_path: Path) -> Iterator[Engine]:
    """A second engine, with images, cache and processes of its own, a stand-in base and emulator.

    They come from the first engine, as real ones come from a registry.
    """
    private = PrivateEngine(tmp_path / "engine")
    private.cache.mkdir()
    private.packages.symlink_to(PrivateEngine().packages)
    private.start()
    try:
        other = connect({**os.environ, **private.environment()})
        first, second = real_engine.client(), other.client()
        # What takes minutes to make and is not what this is about.
        for reference in (base_reference(MATRIX, OTHER_BASE), emulator_reference()):
            second.images.load(first.images.get(reference).save(named=True))
        first.close()
        second.close()
        yield other
    finally:
        private.stop()
        # pytest keeps the folders of its last runs, and this one is large.
        shutil.rmtree(private.data)


def test_two_machines_build_half_each_and_a_third_publishes_from_the_registry_alone(
    rolling: Answer,
    real_engine: Engine,
    other_engine: Engine,
    keys: Keys,
    registry: Registry,
    tmp_path: Path,
) -> None:
    password = {"COSIGN_PASSWORD": keys.environment["COSIGN_PASSWORD"]}
    where = ("--registry", registry.address, "--channel", "preview", "--rehearse")
    signed = (*where, "--key", str(keys.ours))
    for base, engine in (("7.2.0", real_engine), (OTHER_BASE, other_engine)):
        machine = Machine(checkout(tmp_path / base), {**engine.environment, **password})
        built = machine.build_py("--arch", "942", "--base", base, "--rehearse")
        assert built.returncode == 0, built.stderr
        pushed = machine.build_py("push", "--arch", "942", "--base", base, *signed)
        assert pushed.returncode == 0, pushed.stderr

    # Programs, but no engine: what it publishes it knows from the registry alone.
    environment = {**os.environ, "PATH": keys.environment["PATH"], **password}
    environment.pop("DOCKER_HOST", None)
    third = Machine(checkout(tmp_path / "third"), environment)
    published = third.build_py("publish", "--arch", "942", *signed)
    assert published.returncode == 0, published.stderr
    assert published.stdout.count("was there  ") == 2

    catalogue = listed(keys, registry.address)
    digests = {image.cell: image.digest for image in catalogue.images}
    # The second machine's images are those of the first: they were built from the same inputs.
    assert digests == {
        name: cell["image_id"] for name, cell in rolling.summary.items() if "-942-" in name
    }
    assert {str(image.tested_on.level) for image in catalogue.images} == {"stand-in", "emulated"}


def test_a_machine_without_the_key_cannot_slip_an_image_in(
    rolling: Answer, real_engine: Engine, keys: Keys, registry: Registry, tmp_path: Path
) -> None:
    where = ("--registry", registry.address, "--channel", "preview", "--rehearse")
    cell = ("--arch", "942", "--base", "7.2.0")
    stranger = Machine(PROJECT, keys.environment)
    assert stranger.build_py("push", *cell, *where, "--key", str(keys.others)).returncode == 0

    environment = {**keys.environment}
    environment.pop("DOCKER_HOST", None)
    third = Machine(checkout(tmp_path / "third"), environment)
    refused = third.build_py("publish", *cell, *where, "--key", str(keys.ours))
    assert refused.returncode == 8
    assert "is signed, but not by the key" in refused.stderr
