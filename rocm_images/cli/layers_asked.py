"""What is typed about the compression of layers, which wins over the matrix."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import click

from rocm_images.errors import InputError

if TYPE_CHECKING:
    from rocm_images.matrix.schema import Matrix

Verb = TypeVar("Verb", bound=Callable[..., object])


@dataclass(frozen=True)
class LayersAsked:
    """What was typed about the compression of layers; None, where the matrix decides."""

    compression: str | None = None
    recompress_base: bool | None = None

    def of(self, matrix: Matrix) -> Matrix:
        """The matrix with what was typed.

        Raises:
            InputError: it is no compression.
        """
        from pydantic import ValidationError

        from rocm_images.matrix.schema import Layers

        asked = {name: value for name, value in vars(self).items() if value is not None}
        if not asked:
            return matrix
        try:
            layers = Layers.model_validate({**matrix.layers.model_dump(), **asked})
        except ValidationError as error:
            sentence = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise InputError(f"--compression: {sentence}") from None
        return matrix.model_copy(update={"layers": layers})

    @property
    def words(self) -> tuple[str, ...]:
        """The options with which another build.py is asked for the same."""
        words = [f"--compression={self.compression}"] if self.compression else []
        if self.recompress_base is not None:
            words.append("--recompress-base" if self.recompress_base else "--no-recompress-base")
        return tuple(words)


def layers_options(verb: Verb) -> Verb:
    """Adds how layers are compressed; the verb gets it as `layers`."""
    for option in (
        click.option(
            "--recompress-base/--no-recompress-base",
            default=None,
            help="Compress the base's layers so, too. They are then no longer the vendor's, which "
            "nodes may have already.  [default: the matrix's]",
        ),
        click.option(
            "--compression",
            metavar="KIND[:LEVEL]",
            help="Of layers: zstd, or gzip for clients that read nothing else; part of the build "
            "id: docs/layers.md.  [default: the matrix's]",
        ),
    ):
        verb = option(verb)

    @functools.wraps(verb)
    def called(
        *, compression: str | None, recompress_base: bool | None, **options: object
    ) -> object:
        return verb(layers=LayersAsked(compression, recompress_base), **options)

    return cast(Verb, called)
