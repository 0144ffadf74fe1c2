"""Pushes an image from the engine to a registry, and tries again what may pass."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rocm_images.engine.connect import Engine
from rocm_images.engine.images import MOVING_SILENCE_SECONDS, lent_tag
from rocm_images.engine.transfer import Transfer
from rocm_images.errors import RegistryError
from rocm_images.registry.client import Repository
from rocm_images.streams import TookTooLong
from rocm_images.waiting import OnStep, Wait

if TYPE_CHECKING:
    import docker

# What registries and engines say when trying again cannot help.
_FOR_GOOD = ("unauthorized", "denied", "authentication required", "no basic auth credentials")

_ENDED = ("Pushed", "Layer already exists")
# Asked whether it has a blob: a registry that was killed while it wrote that down cannot say.
_LOST_LINK = re.compile(r"\bHEAD request to \S{1,500}/blobs/sha256:([0-9a-f]{64})\S{0,3} 500\b")


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
    on_step: OnStep,
) -> Pushed:
    """Push an image by a tag; layers that the registry has are not sent.

    `on_step` is told how far it is.

    Raises:
        RegistryError: the registry failed again and again, or lets nobody in.
    """
    client = engine.client()
    name = str(repository)
    try:
        # The engine's own tags name the image; the registry's tag is the registry's.
        with lent_tag(client, image_id, name, tag):
            return repository.retries.call(
                lambda: _push_once(engine, client, name, tag, on_step),
                _passes,
                # Its silence is the engine's: layers take their time.
                Wait(
                    repository.address.host,
                    also=lambda far: on_step(f"push {tag}", far),
                ),
            )
    except _PushFailed as error:
        raise RegistryError(
            f"cannot push {name}:{tag} ({error}): {_what_to_do(str(error), repository)}; "
            "publishing again resumes"
        ) from None
    finally:
        client.close()


def _what_to_do(failure: str, repository: Repository) -> str:
    lost = _LOST_LINK.search(failure)
    if lost is None:
        return f"see whether the registry runs and `docker login {repository.address.host}`"
    link = f"repositories/{repository.name}/_layers/sha256/{lost[1]}/link"
    return (
        "see whether the registry is well; where it says so of this blob each time, its storage "
        f"was damaged when it was killed, and its operator removes {link} there, if it is empty"
    )


def _push_once(
    engine: Engine, client: docker.DockerClient, name: str, tag: str, on_step: OnStep
) -> Pushed:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    layers: dict[str, str] = {}
    failure = digest = ""
    step = f"push {tag}"
    on_step(step)
    try:
        moved = Transfer(_layers_of(client, f"{name}:{tag}"))
        events = client.api.push(name, tag, stream=True, decode=True)
        for event in engine.patience.each(events, silence=MOVING_SILENCE_SECONDS):
            # Read to its end even so: the connection is closed only then.
            failure = failure or str(event.get("error") or "")
            digest = (event.get("aux") or {}).get("Digest") or digest
            status, layer = event.get("status", ""), event.get("id")
            if layer and status in ("Preparing", "Waiting", *_ENDED):
                layers[layer] = status
            if moved.take(event):
                on_step(step, moved.far)
    except (DockerException, RequestException, TookTooLong) as error:
        raise _PushFailed(str(error)) from None
    if failure:
        raise _PushFailed(failure)
    return Pushed(digest, sum(status == "Pushed" for status in layers.values()))


def _layers_of(client: docker.DockerClient, reference: str) -> int | None:
    """How many different layers an image has, where the engine says it."""
    found = client.images.get(reference).attrs.get("RootFS") or {}
    return len(set(found.get("Layers") or ())) or None


def _passes(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, _PushFailed) and not any(word in text for word in _FOR_GOOD)
