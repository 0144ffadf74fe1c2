"""Which layers a base image has in its own registry: what a node that has it need not pull."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rocm_images.errors import RegistryError
from rocm_images.references import DOCKER_HUB, ImageName
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.published import is_for_here
from rocm_images.registry.retries import Retries

# https://docs.docker.com/docker-hub/repos/#repositories: names without a namespace are below it.
_OFFICIAL = "library/"
# Each answer is a manifest of kilobytes, or a token.
_CONNECT_SECONDS, _SILENCE_SECONDS, _ANSWER_SECONDS = 3.0, 5.0, 10.0


@dataclass(frozen=True)
class BaseLayer:
    """A layer as the registry has it."""

    digest: str
    size: int
    """Compressed bytes."""


def base_layers(image: str, ca_bundle: Path | None = None) -> tuple[BaseLayer, ...]:
    """The layers of an image by reference, for this program's platform, the oldest first.

    It is asked for once, and not for long: who waits only wants to know how much is shared.

    Raises:
        RegistryError: the registry does not answer, or has no such image.
        InputError: the name of the registry is none.
    """
    name = ImageName.parse(image)
    if name is None or not (name.digest or name.tag):
        raise RegistryError(f"{image} names no image of a registry")
    return _layers(vendors_repository(name, ca_bundle), name.digest or name.tag or "")


def vendors_repository(
    name: ImageName, ca_bundle: Path | None = None, attempts: int = 1
) -> Repository:
    """The repository of an image as the vendor has it, asked once by default and not for long.

    Raises:
        InputError: the name of the registry is none.
    """
    path = name.repository.removeprefix(f"{name.host}/") if name.host else name.repository
    if not name.host and "/" not in path:
        path = _OFFICIAL + path
    from rocm_images.registry.transport import Deadlines

    address = RegistryAddress.parse(name.host or DOCKER_HUB)
    deadlines = Deadlines(_CONNECT_SECONDS, _SILENCE_SECONDS, _ANSWER_SECONDS)
    return Repository(address, path, ca_bundle, Retries(attempts), deadlines, of_a_vendor=True)


def _layers(repository: Repository, which: str) -> tuple[BaseLayer, ...]:
    found = repository.manifest(which)
    if found and "manifests" in found.document:
        entries = [one for one in found.document["manifests"] if is_for_here(one)]
        found = repository.manifest(entries[0]["digest"]) if entries else None
    if found is None or "layers" not in found.document:
        raise RegistryError(f"{repository.reference(which)}: there is no such image for here")
    return tuple(BaseLayer(one["digest"], one["size"]) for one in found.document["layers"])
