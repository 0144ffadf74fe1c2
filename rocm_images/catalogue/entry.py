"""Makes the catalogue's entry of one image out of what the pipeline knows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from rocm_images.catalogue.schema import (
    AllReduce,
    Bytes,
    CatalogueEntry,
    KnownIssue,
    Layer,
    Pulls,
    Setting,
    TestedOn,
)
from rocm_images.catalogue.sharing import Blob, lacked
from rocm_images.engine.layers import attributed
from rocm_images.errors import InputError
from rocm_images.foreign import shown_line
from rocm_images.plan.cells import Cell
from rocm_images.smoke.evidence import Evidence, Level


def entry_of(
    cell: Cell,
    *,
    repository: str,
    tags: Sequence[str],
    immutable_tag: str,
    digest: str,
    manifest: Mapping[str, Any],
    evidence: Evidence,
    build_id: str,
    channel: str | None,
    published: str,
    stand_in: bool,
    steps: Sequence[str] = (),
    dockerfile: str = "",
    unpacked: int | None = None,
    base: Sequence[Blob] | None = None,
    channel_until: str | None = None,
) -> CatalogueEntry:
    """The entry of one image. What it shares with others is known when entries are merged.

    Args:
        cell: the image's cell.
        repository: HOST[:PORT]/NAME.
        tags: the rolling tags, the most specific first.
        immutable_tag: the tag that never moves.
        digest: what the immutable tag stands for.
        manifest: the OCI or Docker image manifest, which names the layers.
        evidence: of the smoke test of this very image.
        build_id: the hash of everything that went into it.
        channel: the channel that it was published to, where channels are used.
        published: ISO 8601 with the offset from UTC.
        stand_in: whether the image was built from stand-ins.
        steps: what made each layer, as the image's configuration says.
        dockerfile: of the cell, which says what stage each step is of.
        unpacked: bytes of its layers unpacked, where an engine had it.
        base: the layers of the base image in its own registry, where that is known.
        channel_until: the last day on which the channel is kept, where it has one.

    Raises:
        InputError: the manifest is none of an image, or claims more bytes than can be: an index,
            say.
    """
    layers = layers_in(manifest, f"{repository}@{digest}", steps, dockerfile)
    warnings = cell.warnings
    return CatalogueEntry(
        cell=cell.name,
        repository=repository,
        tags=tuple(tags),
        immutable_tag=immutable_tag,
        digest=digest,
        arch=cell.arch,
        gfx=cell.gfx,
        gpus=cell.gpus,
        rocm=cell.rocm,
        server=cell.server.name,
        version=cell.version,
        components={
            name: one.version for name, one in cell.sources.items() if name != cell.server.name
        },
        recommended=cell.recommended,
        channel=channel,
        base_image=cell.base_image,
        all_reduce=AllReduce.model_validate(
            {"default": cell.all_reduce, "reason": cell.all_reduce_reason}
        ),
        settings=tuple(
            Setting(name=setting.name, value=setting.value, advisory=advisory)
            for setting in cell.settings
            if setting.advisory
            for advisory in (setting.advisory, *setting.also)
        ),
        known_issues=tuple(
            KnownIssue(
                id=advisory.id,
                component=advisory.component,
                symptom=advisory.symptom,
                why=advisory.why,
                fixed_in=advisory.fixed_in,
                better_base=advisory.base_at_least,
                warning=advisory in warnings,
                references=advisory.references,
            )
            for advisory in cell.advisories
        ),
        tested_on=_tested_on(evidence),
        size=lacked(layers, ()),
        unpacked=unpacked,
        layers=layers,
        shared=0,
        pulls=Pulls(with_base=None if base is None else lacked(layers, base)),
        published=published,
        build_id=build_id,
        supported_until=cell.supported_until,
        supported_why=cell.supported_why,
        channel_until=channel_until,
        stand_in=stand_in,
    )


def layers_in(
    manifest: Mapping[str, Any], name: str, steps: Sequence[str], dockerfile: str
) -> tuple[Layer, ...]:
    """The layers that a manifest names, with what made them; see `entry_of`.

    Raises:
        InputError: it is none of an image, or claims more bytes than can be.
    """
    try:
        sizes = [(layer["digest"], layer["size"]) for layer in manifest["layers"]]
        found = tuple(
            Layer(
                digest=layer.digest,
                size=layer.size,
                stage=layer.stage if dockerfile else None,
                step=_in_ascii(layer.step) if steps else None,
            )
            for layer in attributed(sizes, steps, dockerfile)
        )
        TypeAdapter(Bytes).validate_python(sum(layer.size for layer in found))
        return found
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{name}: this is no image manifest, its layers cannot be read: give the manifest of "
            "the image, not an index of several"
        ) from None


def _in_ascii(step: str) -> str:
    """A step of anybody's image as every reader of a catalogue takes it.

    What can be printed besides depends on the Unicode that the reader's Python knows.
    """
    return shown_line(step).encode("ascii", "backslashreplace").decode("ascii")


def _tested_on(evidence: Evidence) -> TestedOn:
    return TestedOn(
        level=evidence.level,
        passed=evidence.passed,
        tests_passed=evidence.tests_passed,
        tests_failed=evidence.tests_failed,
        devices=_devices(evidence),
        runtime=_known(evidence.runtime),
        capture=_known(evidence.capture),
        judgement=_known(evidence.judgement),
        date=evidence.date,
        ran_as=evidence.ran_as if evidence.level.reaches(Level.GPU) else None,
    )


def _devices(evidence: Evidence) -> tuple[str, ...]:
    found = (evidence.probe or {}).get("devices") or []
    names = [f"{device.get('name') or 'a device'} ({device['gfx']})" for device in found]
    return tuple(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))


def _known(text: str) -> str | None:
    """Evidence says "-" of what was not found out."""
    return None if text == "-" else text
