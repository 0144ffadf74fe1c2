"""The bills of materials that lie beside the page, for who reads it without cosign: plain copies.

What is attested of an image is what counts (docs/sbom.md). A file is named after the digest of its
image, so that none is shown for another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rocm_images.files import write_json

FOLDER = "sboms"


def name_of(digest: str) -> str:
    """Where the bill of an image lies, from the folder of the page."""
    return f"{FOLDER}/{digest.removeprefix('sha256:')}.cdx.json"


def keep(folder: Path, digest: str, document: Mapping[str, Any]) -> None:
    """Write the bill of an image beside the page in a folder.

    Raises:
        InputError: it cannot be written.
    """
    write_json(folder / name_of(digest), document)


def beside(folder: Path, digests: Iterable[str]) -> frozenset[str]:
    """Those images of which a bill lies beside the page in a folder."""
    return frozenset(one for one in digests if (folder / name_of(one)).is_file())
