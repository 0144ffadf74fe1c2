"""What is different between two images: pure functions on their facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rocm_images.comparing.facts import ADVISORIES, ImageFacts, LayerFact, bytes_of
from rocm_images.engine.images import BUILD_ID, INPUTS
from rocm_images.errors import InputError
from rocm_images.foreign import parsed

# What differs between any two images, and is said elsewhere.
_NOT_COMPARED = {ADVISORIES, BUILD_ID, INPUTS}


@dataclass(frozen=True)
class Change:
    """One thing by name, before and after; None: it was or is not there."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class Growth:
    """A package of dpkg's whose size differs: bytes before and after; None: it was or is not."""

    name: str
    old: int | None
    new: int | None

    @property
    def bytes(self) -> int:
        """By how many it grew; negative where it shrank."""
        return (self.new or 0) - (self.old or 0)


@dataclass(frozen=True)
class Difference:
    """How `new` differs from `old`. Sizes are bytes."""

    old: str
    new: str
    old_size: int
    new_size: int
    compressed: bool
    """Whether sizes of layers are compressed, as registries have them, or unpacked."""
    packages: Mapping[str, tuple[Change, ...]]
    """Packages by kind, only kinds that both images know."""
    env: tuple[Change, ...]
    labels: tuple[Change, ...]
    inputs: tuple[str, ...]
    """The names of the inputs of the build that differ."""
    gained: tuple[str, ...]
    """Advisories that apply to the new image alone."""
    lost: tuple[str, ...]
    """Advisories that applied to the old image alone."""
    shared_size: int
    """Bytes of the layers that both have: what a host with the old image need not pull."""
    shared_layers: int
    removed_layers: tuple[LayerFact, ...]
    added_layers: tuple[LayerFact, ...]
    growth: tuple[Growth, ...]
    """Packages whose size differs, what grew most first; empty where one does not say."""
    stages: Mapping[str, tuple[int, int]]
    """Bytes before and after by stage; empty where the stage of a layer is not known."""

    @property
    def nothing(self) -> bool:
        """Whether the two are alike in everything that is compared."""
        lists = (self.env, self.labels, self.gained, self.lost, self.removed_layers)
        return not any((*lists, self.added_layers, self.growth, *self.packages.values()))

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return asdict(self)


def difference(old: ImageFacts, new: ImageFacts) -> Difference:
    """How one image differs from another.

    Raises:
        InputError: the sizes of one are compressed, and the other's are not.
    """
    if old.compressed != new.compressed:
        raise InputError(
            f"{old.name} and {new.name} cannot be compared: a catalogue has compressed sizes, an "
            "engine uncompressed ones; compare two bills of materials, or two catalogues"
        )
    before = {layer.digest for layer in old.layers}
    after = {layer.digest for layer in new.layers}
    shared = [layer for layer in new.layers if layer.digest in before]
    return Difference(
        old=old.name,
        new=new.name,
        old_size=old.size,
        new_size=new.size,
        compressed=new.compressed,
        packages={
            kind: changes(old.packages[kind], new.packages[kind])
            for kind in old.packages
            if kind in new.packages
        },
        env=changes(old.env, new.env),
        labels=changes(_compared(old.labels), _compared(new.labels)),
        inputs=_inputs(old.labels, new.labels),
        gained=tuple(name for name in new.advisories if name not in old.advisories),
        lost=tuple(name for name in old.advisories if name not in new.advisories),
        shared_size=bytes_of(shared, compressed=new.compressed),
        shared_layers=len(shared),
        removed_layers=tuple(layer for layer in old.layers if layer.digest not in after),
        added_layers=tuple(layer for layer in new.layers if layer.digest not in before),
        growth=growth(old, new),
        stages=_stages(old, new),
    )


def _stages(old: ImageFacts, new: ImageFacts) -> dict[str, tuple[int, int]]:
    layers = [*old.layers, *new.layers]
    if not all(layer.stage for layer in layers):
        return {}

    def size(image: ImageFacts, stage: str) -> int:
        layers = [layer for layer in image.layers if layer.stage == stage]
        return bytes_of(layers, compressed=image.compressed)

    stages = dict.fromkeys(layer.stage for layer in layers)
    return {stage: (size(old, stage), size(new, stage)) for stage in stages}


def growth(old: ImageFacts, new: ImageFacts) -> tuple[Growth, ...]:
    """The packages whose size differs, what grew most first."""
    before, after = old.installed, new.installed
    if not (before and after):
        return ()
    found = [Growth(name, before.get(name), after.get(name)) for name in {*before, *after}]
    changed = [one for one in found if one.old != one.new]
    return tuple(sorted(changed, key=lambda one: (-one.bytes, one.name)))


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Change, ...]:
    """What differs between two mappings, sorted by name."""
    return tuple(
        Change(name, old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )


def _compared(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name not in _NOT_COMPARED}


def _inputs(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """The inputs that the images' labels name differently; empty where a label is not there."""
    try:
        before, after = (parsed(labels[INPUTS]) for labels in (old, new))
        return tuple(change.name for change in changes(before, after))
    except (KeyError, ValueError, AttributeError, TypeError):
        return ()
