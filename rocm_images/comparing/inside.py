"""Reads the facts of an image from an engine: its configuration, its layers, its packages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rocm_images.comparing.facts import ADVISORIES, ImageFacts, LayerFact
from rocm_images.engine.containers import container
from rocm_images.engine.images import CELL
from rocm_images.engine.layers import layers_of
from rocm_images.errors import EngineError
from rocm_images.recipe.labels import PREFIX

if TYPE_CHECKING:
    import docker

WAIT_SECONDS = 120.0
MOST_BYTES = 4 * 1024 * 1024
# What is not there prints nothing: an image of another distribution has no dpkg. The Python is the
# one that the image's own PATH finds.
_SCRIPT = """\
dpkg-query --show --showformat='dpkg\\t${Package}\\t${Version}\\n' 2>/dev/null
python3 - 2>/dev/null <<'end'
import importlib.metadata
for found in importlib.metadata.distributions():
    print("pip", found.metadata["Name"], found.version, sep="\\t")
end
exit 0
"""


def facts_of(client: docker.DockerClient, reference: str) -> ImageFacts:
    """Everything that images are compared by; runs a container without network.

    Raises:
        InputError: the engine does not have the image.
        EngineError: the engine cannot run it.
    """
    layers = layers_of(client, reference, "")
    image = client.images.get(reference)
    configuration: Mapping[str, Any] = image.attrs["Config"] or {}
    env = dict(entry.partition("=")[::2] for entry in configuration.get("Env") or ())
    labels = dict(sorted(image.labels.items()))
    return ImageFacts(
        name=reference,
        cell=labels.get(CELL, ""),
        image_id=str(image.id),
        compressed=False,
        packages=_packages(_output(client, str(image.id), reference)),
        labels=labels,
        env=env,
        advisories=tuple(labels.get(ADVISORIES, "").split()),
        layers=tuple(LayerFact(layer.digest, layer.size, layer.step) for layer in layers),
    )


def _output(client: docker.DockerClient, image_id: str, reference: str) -> str:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        with container(
            client,
            image_id,
            [_SCRIPT],
            entrypoint=["/bin/sh", "-c"],
            network_mode="none",
            labels={PREFIX + "inventory": "true"},
        ) as lister:
            lister.start()
            lister.wait(timeout=WAIT_SECONDS)
            output = b""
            for chunk in lister.logs(stdout=True, stderr=False, stream=True, follow=False):
                output += chunk
                if len(output) > MOST_BYTES:
                    raise EngineError(f"{reference}: it lists packages without end")
    except (DockerException, RequestException) as error:
        raise EngineError(
            f"{reference}: its packages cannot be listed from inside ({_reason(error)}): see "
            "whether `docker run` starts it"
        ) from None
    return output.decode("utf-8", errors="replace")


def _reason(error: Exception) -> str:
    return str(getattr(error, "explanation", None) or error)


def _packages(output: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {"dpkg": {}, "pip": {}}
    for line in output.splitlines():
        kind, _, rest = line.partition("\t")
        name, _, version = rest.partition("\t")
        if kind in found and name:
            # The first one that Python finds is the one that it imports.
            found[kind].setdefault(name, version)
    return {kind: dict(sorted(packages.items())) for kind, packages in found.items()}
