"""Two machines with engines of their own share nothing but a registry; a third one publishes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkouts import Answer, Checkout, copied
from four_cells import MATRIX

from conftest import Keys, run_build_py
from publishing_site import listed
from registry import Registry
from rehearsal.engine import PrivateEngine
from rehearsal.stand_ins import base_reference
from rocm_images.engine.connect import Engine, connect
from rocm_images.smoke.emulator import reference as emulator_reference

OTHER_BASE = "7.2.2"
"""That of the image which the second engine builds."""


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
    other_engine: Engine,
    keys: Keys,
    registry: Registry,
    tmp_path: Path,
) -> None:
    password = {"COSIGN_PASSWORD": keys.environment["COSIGN_PASSWORD"]}
    where = ("--registry", registry.address, "--channel", "preview", "--rehearse")
    signed = (*where, "--sign-key", str(keys.ours))
    # This checkout has built and tested what it pushes; the second machine begins with a base.
    second = Checkout(copied(tmp_path / "second"), {**other_engine.environment, **password})
    built = second.build_py("--arch", "942", "--base", OTHER_BASE, "--rehearse")
    assert built.code == 0, built.stderr
    for build_py, base in ((run_build_py, "7.2.0"), (second.build_py, OTHER_BASE)):
        words = ("push", "--arch", "942", "--base", base, *signed)
        pushed = build_py(*words, environment=password)
        assert pushed.code == 0, pushed.stderr

    # Programs, but no engine: what it publishes it knows from the registry alone.
    environment = {**os.environ, "PATH": keys.environment["PATH"], **password}
    environment.pop("DOCKER_HOST", None)
    third = Checkout(copied(tmp_path / "third"), environment)
    published = third.build_py("publish", "--arch", "942", *signed)
    assert published.code == 0, published.stderr
    assert published.stdout.count("was there  ") == 2

    catalogue = listed(keys, registry.address)
    digests = {image.cell: image.digest for image in catalogue.images}
    # The second machine's images are those of the first: they were built from the same inputs.
    assert digests == {
        name: cell["image_id"] for name, cell in rolling.summary.items() if "-942-" in name
    }
    assert {str(image.tested_on.level) for image in catalogue.images} == {"stand-in", "emulated"}


def test_a_machine_without_the_key_cannot_slip_an_image_in(
    rolling: Answer, keys: Keys, registry: Registry, tmp_path: Path
) -> None:
    where = ("--registry", registry.address, "--channel", "preview", "--rehearse")
    cell = ("--arch", "942", "--base", "7.2.0")
    theirs = ("push", *cell, *where, "--sign-key", str(keys.others))
    assert run_build_py(*theirs, environment=keys.environment).code == 0

    environment = {**keys.environment}
    environment.pop("DOCKER_HOST", None)
    third = Checkout(copied(tmp_path / "third"), environment)
    refused = third.build_py("publish", *cell, *where, "--sign-key", str(keys.ours))
    assert refused.code == 8
    assert "is signed, but not by the key" in refused.stderr
