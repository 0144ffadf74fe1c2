"""The layers of a base are those that its own registry has, for this platform."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from made_up_registry import LAYER, Image, MadeUpRegistry
from rocm_images.errors import RegistryError
from rocm_images.registry import base_layers as module
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.base_layers import BaseLayer, base_layers
from rocm_images.registry.client import Repository
from rocm_images.registry.published import image_at
from rocm_images.registry.retries import Retries


@pytest.fixture
def registry() -> Iterator[MadeUpRegistry]:
    with MadeUpRegistry() as started:
        yield started


def layers_of(image: Image) -> tuple[BaseLayer, ...]:
    return tuple(BaseLayer(one["digest"], one["size"]) for one in image.document["layers"])


def test_an_image_by_tag_or_by_digest(registry: MadeUpRegistry) -> None:
    name = f"{registry.address}/rocm/pytorch"
    expected = layers_of(registry.image)
    assert base_layers(f"{name}:rocm7.2") == expected
    known = registry.image.entry()["digest"]
    assert base_layers(f"{name}:rocm7.2@{known}") == expected
    assert any("/v2/rocm/pytorch/manifests/" in one for one in registry.asked)


def test_of_an_image_for_several_platforms_the_one_for_here(registry: MadeUpRegistry) -> None:
    image = registry.image
    expected, here = layers_of(image), image.entry()
    other = image.blob(b"another platform's", LAYER)
    image.put({**image.document, "layers": [other]})
    image.index(image.entry(arch="arm64"), here)
    assert base_layers(f"{registry.address}/ubuntu:24.04") == expected
    image.index(image.entry(arch="arm64"))
    with pytest.raises(RegistryError, match="no such image for here"):
        base_layers(f"{registry.address}/ubuntu:24.04")


def test_a_registry_that_does_not_say_is_asked_once(registry: MadeUpRegistry) -> None:
    registry.answers = lambda request: request.answer(b"", 503)
    with pytest.raises(RegistryError):
        base_layers(f"{registry.address}/rocm/pytorch:rocm7.2")
    assert len(registry.asked) == 1


def test_a_registry_that_accepts_and_says_nothing_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_SILENCE_SECONDS", 0.25)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = f"127.0.0.1:{silent.getsockname()[1]}/rocm/pytorch:rocm7.2"
        with pytest.raises(RegistryError, match=r"read timeout=0\.25"):
            base_layers(name)


def test_a_name_without_a_host_is_docker_hubs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(there: Repository, which: str) -> None:
        asked.append(there.reference(which))

    monkeypatch.setattr(module, "_layers", ask)
    for name in ("ubuntu:24.04", "rocm/pytorch:x"):
        base_layers(name)
    assert asked == ["docker.io/library/ubuntu:24.04", "docker.io/rocm/pytorch:x"]
    with pytest.raises(RegistryError, match="names no image"):
        base_layers("./folder")


def test_an_image_says_which_step_made_each_layer(registry: MadeUpRegistry) -> None:
    image = registry.image
    history = [
        {"created_by": "RUN one"},
        {"created_by": "ENV A=1", "empty_layer": True},
        {"comment": "imported"},
    ]
    image.put({**image.document, "config": image.config({}, history=history)})
    there = Repository(RegistryAddress.parse(registry.address), "x", retries=Retries(attempts=1))
    found = image_at(there, "any")
    assert found is not None
    assert found.steps == ("RUN one", "")
    image.put({**image.document, "config": image.config({}, history=[{"created_by": 3}])})
    with pytest.raises(RegistryError, match=r"history\.0\.created_by"):
        image_at(there, "any")
