"""Reads the facts of an image from an engine: its configuration, its layers, its packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rocm_images.comparing.facts import ADVISORIES, ImageFacts, Installed, LayerFact
from rocm_images.engine.containers import container
from rocm_images.engine.images import CELL, INPUTS
from rocm_images.engine.layers import found_image, layers_of
from rocm_images.errors import EngineError
from rocm_images.foreign import parsed
from rocm_images.recipe.labels import PREFIX

if TYPE_CHECKING:
    import docker

WAIT_SECONDS = 120.0
MOST_BYTES = 4 * 1024 * 1024
# What is not there prints nothing: an image of another distribution has no dpkg. The Python is the
# one that the image's own PATH finds. Every file that a step of the recipe writes has the minute of
# the recipe's date, which its description of the image has, and the second of the stage that wrote
# it: templates/parts/clock.j2.
_SCRIPT = """\
stat --printf='date\\t%Y\\n' /opt/rocm-images/image.json 2>/dev/null
dpkg-query --show --showformat=\
'dpkg\\t${Package}\\t${Version}\\t${Installed-Size}\\t${db-fsys:Last-Modified}\\n' 2>/dev/null
python3 - 2>/dev/null <<'end'
import importlib.metadata
import os
for found in importlib.metadata.distributions():
    size, date = 0, ""
    for file in found.files or ():
        try:
            stat = os.stat(found.locate_file(file))
        except OSError:
            continue
        size += stat.st_size
        if file.name == "RECORD":
            date = int(stat.st_mtime)
    print("pip", found.metadata["Name"], found.version, size, date, sep="\\t")
end
exit 0
"""
_STAGES = 60
"""Seconds from the date of an image's description on: one for each stage that is split."""
_UNIT = {"dpkg": 1024, "pip": 1}
"""Bytes: dpkg's Installed-Size is in KiB (deb-control(5))."""


def facts_of(
    client: docker.DockerClient, reference: str, recipes: Mapping[str, str] = MappingProxyType({})
) -> ImageFacts:
    """Everything that images are compared by; runs a container without network.

    Args:
        client: of the engine.
        reference: of the image.
        recipes: Dockerfiles, by what an image's label of its inputs says of the one that made it.

    Raises:
        InputError: the engine does not have the image.
        EngineError: the engine cannot run it.
    """
    image = found_image(client, reference)
    recipe = recipes.get(_recipe_of(image.labels), "")
    layers = layers_of(client, reference, recipe)
    configuration: Mapping[str, Any] = image.attrs["Config"] or {}
    output = _output(client, str(image.id), reference)
    env = dict(entry.partition("=")[::2] for entry in configuration.get("Env") or ())
    labels = dict(sorted(image.labels.items()))
    return ImageFacts(
        name=reference,
        cell=labels.get(CELL, ""),
        image_id=str(image.id),
        compressed=False,
        packages=_packages(output),
        labels=labels,
        env=env,
        advisories=tuple(labels.get(ADVISORIES, "").split()),
        layers=tuple(
            LayerFact(layer.digest, layer.size, layer.step, layer.stage if recipe else "")
            for layer in layers
        ),
        installed=_installed(output),
    )


def _recipe_of(labels: Mapping[str, str]) -> str:
    """What an image's label says of the Dockerfile that made it; empty where it says nothing."""
    try:
        return str(parsed(labels[INPUTS])["dockerfile"])
    except (ValueError, KeyError, TypeError):
        return ""


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
    for kind, name, version, *_ in _rows(output):
        # The first one that Python finds is the one that it imports.
        found[kind].setdefault(name, version)
    return {kind: dict(sorted(packages.items())) for kind, packages in found.items()}


def _installed(output: str) -> dict[str, dict[str, Installed]]:
    found: dict[str, dict[str, Installed]] = {"dpkg": {}, "pip": {}}
    begun = next((_number(line.partition("\t")[2]) for line in _lines(output, "date")), None)
    for kind, name, _, size_said, date_said in _rows(output):
        size, date = _number(size_said), _number(date_said)
        if size is not None:
            ours = begun is not None and date is not None and date - begun in range(_STAGES)
            found[kind].setdefault(name, Installed(size * _UNIT[kind], ours))
    return {kind: dict(sorted(packages.items())) for kind, packages in found.items()}


def _number(text: str) -> int | None:
    """A number of bytes or seconds that an image says; None for what is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def _rows(output: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Kind, name, version, size and date of each package; texts of the image, whoever made it."""
    for line in _lines(output, *_UNIT):
        kind, name, version, size, date, *_ = [*line.split("\t"), "", "", "", ""]
        if name:
            yield kind, name, version, size, date


def _lines(output: str, *kinds: str) -> Iterator[str]:
    return (line for line in output.splitlines() if line.partition("\t")[0] in kinds)
