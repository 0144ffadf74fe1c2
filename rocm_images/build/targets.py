"""What each cell's image is built from, and which image the engine or a registry already has of it.

The one assembly: plan, build, ci-matrix and publish must agree on build ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rocm_images import telling
from rocm_images.build.options import parse_build_args, parse_contexts
from rocm_images.build.site import Site
from rocm_images.engine.connect import Engine
from rocm_images.engine.images import (
    BUILD_ID,
    INPUTS,
    EngineImage,
    image_of,
    images_of,
    why_build,
)
from rocm_images.errors import RocmImagesError, VerificationFailed
from rocm_images.lock import file as lock
from rocm_images.matrix.schema import Layers, Matrix
from rocm_images.plan.cells import Cell
from rocm_images.pool import Threads
from rocm_images.recipe.build_id import SHORT, Inputs, inputs_of
from rocm_images.recipe.compression import identity
from rocm_images.recipe.labels import BASE_DIGEST, REVISION, annotations_of, labels_of
from rocm_images.recipe.render import render
from rocm_images.recipe.rootfs import rootfs
from rocm_images.references import tag_of

# What reads registries is imported where one is asked: its models alone take as long as the plan.
if TYPE_CHECKING:
    from rocm_images.registry.address import RegistryAddress
    from rocm_images.registry.client import Repository
    from rocm_images.registry.cosign import Cosign
    from rocm_images.registry.published import PublishedImage
    from rocm_images.registry.trust import Trust
    from rocm_images.registry.verified import Verified

VERIFIED_AT_ONCE = 4
# Up to here asking for image by image costs less than one list, for which the containerd store
# measures every image that is in it: a tenth for four images, on a busy machine.
MOST_ASKED = 32
_ASKED_AT_ONCE = 4


@dataclass(frozen=True)
class Target:
    """One cell: the image that the engine has of it, or what to build it from."""

    cell: Cell
    rolling: tuple[str, ...]
    """The references that a newer image takes over, the first one to be shown."""
    immutable: str = ""
    """The reference that holds the build id; empty for an image that was named by hand."""
    found: EngineImage | None = None
    dockerfile: str = ""
    contexts: Mapping[str, str] = field(default_factory=dict)
    replaced: bool = False
    """Whether one of them stands for the base or a source, and not for what the lock says of it."""
    build_args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    """Beside those of the Dockerfile."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Of the image's manifest, where its kind has any."""
    layers: Layers = field(default_factory=Layers.model_construct)
    inputs: Inputs | None = None
    why: str = ""
    """Why it has to be built, where that is known."""
    refusal: RocmImagesError | None = None
    """Why nothing is done: its base moved since it was locked, or what the registry has is not
    to be trusted."""
    published: str = ""
    """The image by digest in the target registry, verified, where the engine does not have it."""

    @property
    def references(self) -> tuple[str, ...]:
        """Every reference that the image gets."""
        return (*self.rolling, self.immutable) if self.immutable else self.rolling

    @property
    def immutable_tag(self) -> str:
        """The tag that holds the build id."""
        return tag_of(self.immutable)

    @property
    def to_build(self) -> bool:
        """Whether neither the engine nor the target registry has its image."""
        return self.found is None and not self.published


def targets_of(
    site: Site,
    matrix_path: Path,
    matrix: Matrix,
    cells: Sequence[Cell],
    *,
    contexts: Sequence[str] = (),
    build_args: Sequence[str] = (),
) -> list[Target]:
    """What each cell is built from. Nothing is asked.

    Args:
        site: what replaces bases and sources there.
        matrix_path: the lock lies beside it.
        matrix: of that file.
        cells: those to assemble.
        contexts: `--context` texts, which win over the site and the lock.
        build_args: `--build-arg` texts.

    Raises:
        InputError: an option, a file that goes into an image, or the lock, cannot be used.
    """
    rendered = list(render(matrix, cells))
    given = parse_contexts(contexts, cells)
    arguments = parse_build_args(build_args, [text for _, text in rendered])
    locked = lock.read(lock.path_of(matrix_path))
    files = rootfs()
    return [
        _target(
            cell,
            dockerfile,
            locked,
            {**site.replaced(matrix, cell), **given},
            arguments,
            site,
            files,
            matrix.layers,
        )
        for cell, dockerfile in rendered
    ]


def _target(
    cell: Cell,
    dockerfile: str,
    locked: lock.Lock,
    replacing: Mapping[str, str],
    build_args: Mapping[str, str],
    site: Site,
    files: Path,
    layers: Layers,
) -> Target:
    contexts = {**lock.locked_contexts(locked, cell.base_image, cell.sources), **replacing}
    labels = {**_locked_labels(cell, locked, replacing), **site.labels}
    annotations = annotations_of({**labels_of(cell), **labels})
    inputs = inputs_of(
        dockerfile,
        files,
        contexts.get(cell.base_image, cell.base_image),
        {name: contexts.get(name, pin) for name, pin in cell.pins.items()},
        build_args,
        labels,
        identity(layers),
        annotations,
    )
    immutable = f"{cell.tags[0]}{site.tag_suffix}-{inputs.build_id[:SHORT]}"
    return Target(
        cell,
        rolling=tuple(cell.reference(tag + site.tag_suffix) for tag in cell.tags),
        immutable=cell.reference(immutable),
        dockerfile=dockerfile,
        contexts=contexts,
        replaced=not replacing.keys().isdisjoint({cell.base_image, *cell.pins}),
        build_args=build_args,
        labels=labels,
        annotations=annotations,
        layers=layers,
        inputs=inputs,
    )


def _locked_labels(cell: Cell, locked: lock.Lock, replacing: Mapping[str, str]) -> dict[str, str]:
    """What only the lock knows of a cell: nothing of what stands in for its base or its server."""
    server = cell.server.name
    base = lock.locked_base(locked, cell.base_image)
    commit = lock.locked_commit(locked, cell.sources[server])
    labels = {}
    if base and cell.base_image not in replacing:
        labels[BASE_DIGEST] = base.partition("@")[2]
    if commit and f"{server}-src" not in replacing:
        labels[REVISION] = commit
    return labels


def with_found(engine: Engine, given: Sequence[Target]) -> list[Target]:
    """The same targets, with the image that the engine already has of each."""
    from docker.errors import APIError

    if len(given) <= MOST_ASKED:
        try:
            with Threads(_ASKED_AT_ONCE) as pool:
                return list(pool.map(lambda target: _asked(engine, target), given))
        except APIError:
            pass  # An image that goes away meanwhile; a list is asked for again then.
    client = engine.client()
    try:
        images = images_of(client, [name for target in given for name in target.references])
    finally:
        client.close()
    by_build_id = {image.labels.get(BUILD_ID): image for image in images}
    by_tag = {tag: image for image in images for tag in image.tags}
    found = []
    for target in given:
        assert target.inputs is not None
        same = by_build_id.get(target.inputs.build_id)
        older = by_tag.get(target.rolling[0])
        found.append(replace(target, found=same) if same else _to_build(target, older))
    return found


def _asked(engine: Engine, target: Target) -> Target:
    """The same for one target, by its tags."""
    assert target.inputs is not None
    older = None
    client = engine.client()
    try:
        # One that lost its immutable tag may still have another.
        for reference in (target.immutable, *target.rolling):
            image = image_of(client, reference)
            if image and image.labels.get(BUILD_ID) == target.inputs.build_id:
                return replace(target, found=image)
            if reference == target.rolling[0]:
                older = image
    finally:
        client.close()
    return _to_build(target, older)


def _to_build(target: Target, older: EngineImage | None) -> Target:
    assert target.inputs is not None
    label = older.labels.get(INPUTS, "") if older else ""
    return replace(target, why=why_build(older, target.inputs.changed_since(label)))


def repositories_of(
    registry: RegistryAddress, ca_bundle: Path | None, attempts: int, cells: Sequence[Cell]
) -> dict[str, Repository]:
    """Where a registry has the images of these cells, by name: each server has its own."""
    from rocm_images.registry.client import Repository
    from rocm_images.registry.retries import Retries

    names = dict.fromkeys(cell.repository for cell in cells)
    return {name: Repository(registry, name, ca_bundle, Retries(attempts)) for name in names}


def with_published(
    repositories: Mapping[str, Repository], cosign: Cosign, trust: Trust, given: Sequence[Target]
) -> list[Target]:
    """The same targets, with what the registry has of those that the engine has not.

    What is there and does not verify is a refusal: a label and a tag prove nothing.

    Args:
        repositories: of the cells, by name.
        cosign: for that registry.
        trust: whose signatures count.
        given: the targets.

    Raises:
        RegistryError: the registry does not answer.
    """

    def look(target: Target) -> Target:
        if target.found is not None:
            return target
        try:
            known = verified_of(repositories[target.cell.repository], cosign, trust, target)
        except VerificationFailed as error:
            return replace(target, refusal=error)
        return replace(target, published=known.image.reference if known else "")

    with Threads(VERIFIED_AT_ONCE) as pool:
        return list(pool.map(look, given))


def verified_of(
    repository: Repository, cosign: Cosign, trust: Trust, target: Target
) -> Verified | None:
    """The image of a target as a registry has it, verified, or None.

    Raises:
        VerificationFailed: what is there is not signed, or is another image.
        RegistryError: the registry does not answer.
    """
    from rocm_images.registry.published import image_at

    image = image_at(repository, target.immutable_tag)
    if image is None:
        return None
    return verified_as(cosign, trust, image, target)


def verified_as(cosign: Cosign, trust: Trust, image: PublishedImage, target: Target) -> Verified:
    """An image that is signed, and is that of a target.

    Raises:
        VerificationFailed: it is not.
        RegistryError: the registry does not answer.
    """
    from rocm_images.registry.verified import check_built_as, verified

    assert target.inputs is not None
    found = verified(cosign, image, trust)
    check_built_as(image, target.cell.name, target.inputs.build_id)
    return found


def reference_of(cell: Cell, site: Site) -> str:
    """The image that a build of a cell gives there, by its first rolling tag."""
    return cell.reference(cell.tags[0] + site.tag_suffix)


def command_of(cell: Cell, site: Site) -> str:
    """What is typed to build it."""
    return " ".join([telling.COMMAND, cell.words, *site.words])
