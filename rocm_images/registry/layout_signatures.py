"""Gives cosign of an image's OCI layout what signs it: no layers, other images, or bundles.

cosign 3 reads every blob of a layout as a whole, in search of the bundles that it attaches by its
own defaults; where it finds one, it goes by that alone, whatever format it was told to count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rocm_images.errors import VerificationFailed
from rocm_images.foreign import content_of, document_of, parsed
from rocm_images.references import DIGEST

_STATEMENTS = "dev.cosignproject.cosign/atts"
_LAYOUT = '{"imageLayoutVersion": "1.0.0"}\n'


@contextmanager
def signatures_alone(layout: Path, image: str) -> Iterator[Path]:
    """A layout with the manifest of an image, by its digest, and all that is attached to it.

    Raises:
        VerificationFailed: what is attached is nothing that version 2 of cosign attaches.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        blobs = folder / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        (folder / "oci-layout").write_text(_LAYOUT)
        try:
            index = content_of(layout / "index.json")
            (folder / "index.json").write_bytes(index)
            for entry in parsed(index)["manifests"]:
                manifest = _taken(layout, entry, blobs)
                if entry["digest"] == image:
                    continue
                for part in (manifest, *(_taken(layout, one, blobs) for one in _parts(manifest))):
                    # Go's names of fields are in any case.
                    if any(field.casefold() == "subject" for field in part):
                        raise ValueError("a bundle that cosign 3 alone reads")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise VerificationFailed(
                f"{image}: what is attached to it in the file is no signature or statement of this "
                f"program ({error}): do not use it"
            ) from None
        yield folder


def holds_statements(layout: Path) -> bool:
    """Whether anything is attached that cosign takes for statements; of what was read before."""
    entries = document_of(layout / "index.json")["manifests"]
    return any((entry.get("annotations") or {}).get("kind") == _STATEMENTS for entry in entries)


def _parts(manifest: Any) -> list[Any]:
    return [manifest["config"], *manifest["layers"]]


def _taken(layout: Path, descriptor: Any, blobs: Path) -> dict[str, Any]:
    """The document that a descriptor names, which is copied."""
    digest = descriptor["digest"]
    if not re.fullmatch(DIGEST, digest):
        raise ValueError(f"{digest!r} is no digest")
    name = digest.partition(":")[2]
    content = content_of(layout / "blobs" / "sha256" / name)
    document = parsed(content)
    if not isinstance(document, dict):
        raise TypeError("no document")
    (blobs / name).write_bytes(content)
    return document
