"""Which of our images an engine already has, by build id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from rocm_images.engine.transfer import Transfer
from rocm_images.errors import EngineError, RegistryError, VerificationFailed
from rocm_images.recipe.labels import PREFIX
from rocm_images.references import registry_of, repository_of
from rocm_images.streams import TookTooLong
from rocm_images.supervisor import supervisor
from rocm_images.waiting import OnStep, waiting_for

if TYPE_CHECKING:
    import docker

    from rocm_images.engine.connect import Engine

BUILD_ID = PREFIX + "build-id"
INPUTS = PREFIX + "inputs"
CELL = PREFIX + "cell"
# The engine hangs up at a question of megabytes (seen at 40,000 names); up to here asking by name
# costs less than a list of every image of a repository.
MOST_NAMES = 1000
_TRIES = 5
# Of a pull or a push: a registry that stalled is told from a layer of 10 GB that is unpacked.
MOVING_SILENCE_SECONDS = 1800.0


@dataclass(frozen=True)
class EngineImage:
    """An image that the engine has."""

    image_id: str
    labels: Mapping[str, str]
    tags: tuple[str, ...]


def image_of(client: docker.DockerClient, reference: str) -> EngineImage | None:
    """The image of one reference, or None where the engine has none."""
    from docker.errors import ImageNotFound

    try:
        image = client.images.get(reference)
    except ImageNotFound:
        return None
    return EngineImage(str(image.id), image.labels, tuple(image.tags))


def images_of(client: docker.DockerClient, references: Iterable[str]) -> tuple[EngineImage, ...]:
    """The images that carry one of the references: one call of the engine, for all cells.

    By reference and not by label, because the containerd store measures every image that it
    lists: on an engine with 20 of ours, 0.5 to 0.7 s by label, 0.06 to 0.09 s for four references.

    Raises:
        EngineError: it cannot list them, though it was asked several times.
    """
    wanted = set(references)
    asked = wanted
    if len(wanted) > MOST_NAMES:
        asked = set(map(repository_of, wanted))
    answers = _listed(client, sorted(asked))
    return tuple(
        EngineImage(
            image_id=answer["Id"],
            labels=answer.get("Labels") or {},
            tags=tuple(answer.get("RepoTags") or ()),
        )
        for answer in answers
        if wanted & set(answer.get("RepoTags") or ())
    )


def _listed(client: docker.DockerClient, references: Sequence[str]) -> list[dict[str, Any]]:
    """What the engine lists, asked again where an image went away while it was measured.

    The containerd store then knows no such content: https://github.com/moby/moby/issues/52688
    """
    from docker.errors import NotFound

    for _ in range(_TRIES):
        try:
            found: list[dict[str, Any]] = client.api.images(filters={"reference": references})
            return found
        except NotFound as error:
            problem = error.explanation
    raise EngineError(
        f"the Docker Engine cannot list its images ({problem}): let it finish what removes images, "
        "or see whether its store is whole"
    )


def why_build(found: EngineImage | None, changed: Iterable[str]) -> str:
    """Why a cell has to be built: there is no image of it, or which inputs changed since."""
    if found is None:
        return "no image yet"
    names = sorted(changed)
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"changed: {shown}" if names else "another scheme of build ids"


@contextmanager
def lent_tag(
    client: docker.DockerClient, image_id: str, repository: str, tag: str
) -> Iterator[None]:
    """A tag that an image has for the time of the block, or of the run where that ends first.

    A tag that it has already stays its own.
    """
    from docker.errors import NotFound

    image = client.images.get(image_id)
    name = f"{repository}:{tag}"
    if name in image.tags:
        yield
        return

    def remove() -> None:
        with suppress(NotFound):
            client.images.remove(name)

    with supervisor.undone(lambda: image.tag(repository, tag), remove):
        yield


def pull(
    engine: Engine, reference: str, build_id: str, on_step: OnStep | None = None
) -> EngineImage:
    """Pull an image by digest, which the engine verifies, and check which inputs it is made from.

    `on_step` is told how far it is; where it is None, that is said to whoever sits there.

    Raises:
        RegistryError: the engine cannot pull it.
        VerificationFailed: it is labelled with another build id than its tag promised.
    """
    from docker.errors import APIError

    if on_step is None:
        with waiting_for(registry_of(reference)) as wait:
            return pull(engine, reference, build_id, lambda _, far="": wait.at(far))
    client, moved = engine.client(), Transfer()
    step = f"pull {reference}"
    on_step(step)
    try:
        # The SDK's own images.pull does not look at what fails while layers arrive. All events are
        # read, because the connection is closed only then.
        # An engine says nothing before the registry has named the image.
        with waiting_for(registry_of(reference)):
            pulling = client.api.pull(reference, stream=True, decode=True)
            arriving = engine.patience.each(pulling, silence=MOVING_SILENCE_SECONDS)
            events = list(islice(arriving, 1))
        for event in arriving:
            events.append(event)
            if moved.take(event):
                on_step(step, moved.far)
        for failure in (event["error"] for event in events if "error" in event):
            raise RegistryError(f"cannot pull {reference}: {failure}")
        image = client.images.get(reference)
    except APIError as error:
        raise RegistryError(f"cannot pull {reference}: {error.explanation}") from None
    except TookTooLong as error:
        raise RegistryError(f"cannot pull {reference}: {error}: see its registry") from None
    finally:
        client.close()
    found = EngineImage(str(image.id), image.labels, tuple(image.tags))
    if found.labels.get(BUILD_ID) != build_id:
        raise VerificationFailed(
            f"{reference} is labelled with build id {found.labels.get(BUILD_ID)}, not {build_id}, "
            "which its tag promises: someone moved an immutable tag; `build --force` makes another"
        )
    return found
