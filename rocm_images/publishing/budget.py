"""Holds images to their channel's pull budget, and names the layers that took it.

Sizes are those of the manifest that was read back: claims, but of the very digest that was pushed,
or whose signature was verified. The image before is known by the signed catalogue, with its layers:
whether a registry still has it does not matter.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rocm_images.catalogue.schema import Catalogue, CatalogueEntry, Layer
from rocm_images.catalogue.sharing import lacked, previous_of
from rocm_images.engine.connect import Engine
from rocm_images.errors import PublishRefused
from rocm_images.matrix.schema import Budget, Channel
from rocm_images.matrix.types import bytes_of
from rocm_images.publishing.candidates import Candidate, Rules
from rocm_images.publishing.entries import entry_for
from rocm_images.publishing.explaining import explaining
from rocm_images.registry.published import PublishedImage
from rocm_images.tables import Column, bytes_in_words, text_table
from rocm_images.telling import counted

MOST_LAYERS = 8
"""Of one image that a refusal names, the largest first."""


@dataclass(frozen=True)
class Spent:
    """What a node pulls of one image; compressed bytes."""

    image: CatalogueEntry
    previous: CatalogueEntry | None
    """None: it is the channel's first of its cell."""

    @property
    def delta(self) -> int | None:
        """By a node that has the previous one."""
        return lacked(self.image.layers, self.previous.layers) if self.previous else None

    @property
    def layers(self) -> list[tuple[Layer, str]]:
        """What has to be pulled, the largest first, and how it compares with what was there."""
        before = self.previous.layers if self.previous else ()
        had, have = ({one.digest for one in of} for of in (before, self.image.layers))
        gone = [one for one in before if one.digest not in have]
        found = []
        for layer in {one.digest: one for one in self.image.layers}.values():
            if layer.digest in had:
                continue
            was = next((one for one in gone if _same_step(one, layer)), None)
            if was:
                gone.remove(was)
            found.append((layer, _compared(layer, was, before)))
        return sorted(found, key=lambda one: one[0].size, reverse=True)

    def problems(self, budget: Budget) -> list[str]:
        """Each bound that it is over, as part of a sentence."""
        found = []
        for name, what, size, bound in self._bounds(budget):
            if size is not None and bound is not None and size > bytes_of(bound):
                over = bytes_in_words(size - bytes_of(bound))
                found.append(
                    f"{what} are {bytes_in_words(size)} compressed, {over} more than budget.{name} "
                    f"allows ({bound})"
                )
        return found

    def _bounds(self, budget: Budget) -> tuple[tuple[str, str, int | None, str | None], ...]:
        tag = self.previous.immutable_tag if self.previous else ""
        return (
            ("compressed", "its layers", self.image.size, budget.compressed),
            ("delta", f"those that {tag} lacks", self.delta, budget.delta),
        )


def spend(
    rules: Rules,
    engine: Engine | None,
    listed: Catalogue | None,
    found: Sequence[Candidate],
    images: Sequence[PublishedImage],
) -> tuple[Spent, ...]:
    """What a node pulls of each candidate, by its image as the registry has it.

    Args:
        rules: the channel, with its budget.
        engine: of the images, for the command that explains their growth.
        listed: the catalogue before, verified: what nodes may have already.
        found: the candidates.
        images: of each.

    Raises:
        PublishRefused: it is more than the channel's budget.
    """
    spent = [
        spent_of(entry_for(rules, one, image, one.evidence), listed)
        for one, image in zip(found, images, strict=True)
    ]
    explained = [
        (each, functools.partial(explaining, engine, one, each.previous))
        for one, each in zip(found, spent, strict=True)
    ]
    check_budget(rules.channel_name, rules.channel, explained)
    return tuple(spent)


def spent_of(image: CatalogueEntry, listed: Catalogue | None) -> Spent:
    """What a node pulls of an image that is about to be published, by the catalogue before."""
    found = previous_of(image, listed.images, listed.history) if listed else None
    return Spent(image, found)


def check_budget(
    channel_name: str, channel: Channel, spent: Sequence[tuple[Spent, Callable[[], str]]]
) -> None:
    """Refuse images that are over the budget.

    Args:
        channel_name: of the matrix.
        channel: with its budget, or without one.
        spent: of each image, and what says the command that explains its growth, or "".

    Raises:
        PublishRefused: at least one is over it; names each, with its layers and what to do.
    """
    if channel.budget is None:
        return
    refused = []
    for one, explain in spent:
        if problems := one.problems(channel.budget):
            refused += [f"  {one.image.cell}: {'; '.join(problems)}:", *_named(one)]
            if command := explain():
                refused.append(f"    `{command}` shows which packages grew")
    if refused:
        raise PublishRefused(
            f"over the pull budget of the channel {channel_name}: nothing was released and no "
            "tag moved\n" + "\n".join(refused) + "\n"
            "make the image smaller, or, where nodes shall pull that much, raise "
            f"channels.{channel_name}.budget in matrix.yaml, and publish again: what was pushed is "
            "signed, and not sent again"
        )


def _named(one: Spent) -> list[str]:
    layers = one.layers
    lines = [
        f"    {bytes_in_words(layer.size)} {how}: {layer.stage or 'a stage that is not known'}, "
        f"{layer.step or layer.digest}"
        for layer, how in layers[:MOST_LAYERS]
    ]
    rest = layers[MOST_LAYERS:]
    size = bytes_in_words(sum(layer.size for layer, _ in rest))
    return [*lines, f"    {size} in {counted(len(rest), 'other layer')}"] if rest else lines


def _same_step(one: Layer, other: Layer) -> bool:
    return bool(one.step) and (one.stage, one.step) == (other.stage, other.step)


def _compared(layer: Layer, was: Layer | None, before: Sequence[Layer]) -> str:
    if was is None:
        # A catalogue of an older version does not say which step made a layer.
        return "new" if all(one.step is not None for one in before) else "not there before"
    return f"{'grew' if layer.size > was.size else 'changed'}, was {bytes_in_words(was.size)}"


def budget_table(spent: Sequence[Spent], budget: Budget | None) -> str:
    """What a node pulls of each image, and which part of the budget that is."""
    rows = [
        (
            one.image.cell,
            *_shown(one.image.size, budget.compressed if budget else None),
            *_shown(one.delta, budget.delta if budget else None),
            one.previous.immutable_tag if one.previous else "the channel's first",
        )
        for one in spent
    ]
    header = (
        "CELL",
        Column.number("COMPRESSED"),
        Column.words("OF BUDGET"),
        Column.number("DELTA"),
        Column.words("OF BUDGET"),
        Column.words("TO", extra=True),
    )
    return text_table(header, rows, elsewhere="`sizes --registry` says it")


def _shown(size: int | None, bound: str | None) -> tuple[str, str]:
    if size is None:
        return "-", "-"
    return bytes_in_words(size), f"{size / bytes_of(bound):.0%} of {bound}" if bound else "-"
