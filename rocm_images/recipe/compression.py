"""How the layers of an image are compressed, in the words of buildx, bake and the build id."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from rocm_images.matrix.schema import Layers


def identity(layers: Layers) -> str:
    """What the build id knows it by.

    gzip makes the base's layers anew in any case: whether that was asked for too is no difference.
    Levels count as they are written: `zstd` and `zstd:3` are two, whatever BuildKit makes of them.
    """
    base = layers.recompress_base and not _is_gzip(layers)
    return layers.compression + ("+base" if base else "")


def output(
    layers: Layers, exporter: str = "image", annotations: Mapping[str, str] | None = None
) -> str:
    """The output of a build for `--output` and for bake: an image of these layers for the engine.

    Without `force-compression` BuildKit leaves alone what is compressed already, whatever it is
    asked for: the base's layers, and those that its build cache has from another build.
    https://docs.docker.com/build/exporters/#compression

    Args:
        layers: how they are compressed.
        exporter: `image` of the engine's own builder, `docker` of another, which loads the image.
        annotations: of the manifest, where it is of a kind that has any: Docker's own is not.
    """
    words = [f"type={exporter}", *compression(layers)]
    if _is_gzip(layers):
        # Who asks for it has clients that read nothing else; Docker's media types come with it.
        words.append("force-compression=true")
    else:
        # Docker's own media types have no zstd: https://github.com/moby/buildkit/pull/3968
        words.append("oci-mediatypes=true")
        words += ["force-compression=true"] * layers.recompress_base
        # In the output and not by `--annotation`, which buildx has from 0.12 on.
        words += [f"annotation.{name}={value}" for name, value in (annotations or {}).items()]
    return _listed(words)


def compression(layers: Layers) -> list[str]:
    """The kind and the level, for an output or a cache of BuildKit's."""
    kind, _, level = layers.compression.partition(":")
    return [f"compression={kind}", *([f"compression-level={level}"] if level else [])]


def _listed(words: list[str]) -> str:
    """The words as buildx takes them apart: one line of CSV, since a value may have a comma."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(words)
    return line.getvalue()


def _is_gzip(layers: Layers) -> bool:
    return layers.compression.startswith("gzip")
