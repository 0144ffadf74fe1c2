"""Several registries: all are checked first, each gets all or nothing, running again goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Answer, Keys
from publishing_site import listed, publish, tags
from registry import Registry


@pytest.fixture
def other(registry_program: Path, tmp_path: Path) -> Iterator[Registry]:
    """Another registry, which takes nothing until it is started anew."""
    made = Registry(registry_program, tmp_path / "other", read_only=True)
    yield made
    made.stop()


def test_every_registry_is_published_to_or_left_alone_and_running_again_goes_on(
    rolling: Answer, keys: Keys, registry: Registry, other: Registry
) -> None:
    cell = ("--arch", "942", "--base", "7.2.0")
    both = ("--registry", other.address, "--attempts", "2", *cell)

    # One is down: it is found out before the first is written to.
    refused = publish(keys, registry.address, *both)
    assert refused.code == 9
    assert other.address in refused.stderr
    assert registry.uploads() == []

    # One answers and takes nothing: what came before it is published.
    other.start()
    failed = publish(keys, registry.address, *both)
    assert failed.code == 9
    assert (
        f"; published and left so: {registry.address}/sglang-rocm; not published to the end: "
        f"{other.address}/sglang-rocm" in failed.stderr
    )
    assert failed.stderr.count("again") == 1
    image = rolling.summary["sglang-942-rocm7.2.0"]["image_id"]
    assert set(tags(registry).values()) == {image, None}
    assert set(tags(other).values()) == {None}
    assert other.uploads() == []

    # Mended, it gets what is missing, and the first one nothing.
    other.stop()
    other.read_only = False
    other.start()
    before = len(registry.requests())
    assert publish(keys, registry.address, *both).code == 0
    asked = registry.requests()[before:]
    assert [one for one in asked if not one.startswith(("GET", "HEAD"))] == []
    assert tags(other) == tags(registry)
    # Each lists its own.
    for one in (registry, other):
        assert {image.repository for image in listed(keys, one.address).images} == {
            f"{one.address}/sglang-rocm"
        }
