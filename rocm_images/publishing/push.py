"""Pushes an image from the engine to a registry, and tries again what may pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rocm_images.engine.connect import Engine
from rocm_images.errors import RegistryError
from rocm_images.registry.client import Repository

# What registries and engines say when trying again cannot help.
_FOR_GOOD = ("unauthorized", "denied", "authentication required", "no basic auth credentials")

_ENDED = ("Pushed", "Layer already exists")


class _PushFailed(Exception):
    pass


@dataclass(frozen=True)
class Pushed:
    """What the engine says that it sent."""

    digest: str
    """Of the manifest, as the engine made it; empty where an engine does not say."""
    layers: int
    """Those that had to be sent."""


def push(
    engine: Engine,
    image_id: str,
    repository: Repository,
    tag: str,
    on_step: Callable[[str], None],
) -> Pushed:
    """Push an image by a tag; layers that the registry has are not sent.

    Raises:
        RegistryError: the registry failed again and again, or lets nobody in.
    """
    client = engine.client()
    name = str(repository)
    try:
        client.images.get(image_id).tag(name, tag)
        try:
            return repository.retries.call(lambda: _push_once(client, name, tag, on_step), _passes)
        except _PushFailed as error:
            raise RegistryError(
                f"cannot push {name}:{tag} ({error}): see whether the registry runs and "
                f"`docker login {repository.address.host}`; publishing again resumes"
            ) from None
        finally:
            # The engine's own tags name the image; the registry's tag is the registry's.
            client.images.remove(f"{name}:{tag}")
    finally:
        client.close()


def _push_once(client: object, name: str, tag: str, on_step: Callable[[str], None]) -> Pushed:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    layers: dict[str, str] = {}
    failure = digest = ""
    try:
        events = client.api.push(name, tag, stream=True, decode=True)  # type: ignore[attr-defined]
        for event in events:
            # Read to its end even so: the connection is closed only then.
            failure = failure or str(event.get("error") or "")
            digest = (event.get("aux") or {}).get("Digest") or digest
            status, layer = event.get("status", ""), event.get("id")
            if layer and status in ("Preparing", "Waiting", *_ENDED):
                if status == "Pushed" and layers.get(layer) != status:
                    done = sum(known in _ENDED for known in layers.values()) + 1
                    on_step(f"push {tag}: {done} of {len({*layers, layer})} layers")
                layers[layer] = status
    except (DockerException, RequestException) as error:
        raise _PushFailed(str(error)) from None
    if failure:
        raise _PushFailed(failure)
    return Pushed(digest, sum(status == "Pushed" for status in layers.values()))


def _passes(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, _PushFailed) and not any(word in text for word in _FOR_GOOD)
