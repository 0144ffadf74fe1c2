"""Measures what BuildKit's compressions take: `python -m benchmarks.compression FOLDER...`.

On the engine at hand, whose containerd image store it needs (docs/layers.md). Prints a table in
Markdown, and what it was measured on.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.machine import machine
from rocm_images.engine.buildx import Buildx, find_buildx
from rocm_images.engine.connect import connect
from rocm_images.markdown import table
from rocm_images.matrix.schema import Layers
from rocm_images.recipe.compression import output

COMPRESSIONS = ("gzip", "zstd:1", "zstd:3", "zstd:6", "zstd:8", "zstd:9", "zstd:19")
_LAYERS = re.compile(r"exporting layers ([\d.]+)s done")


@dataclass(frozen=True)
class Measured:
    """One compression of one folder, once: seconds, bytes, seconds."""

    compress: float
    size: int
    decompress: float


def measured(buildx: Buildx, folder: Path, compression: str, scratch: Path) -> Measured:
    """A new layer of a folder's files, compressed by BuildKit and opened by gzip or zstd.

    Raises:
        CalledProcessError: buildx, gzip or zstd fails.
    """
    archive, dockerfile = scratch / "image.tar", scratch / "Dockerfile"
    # Another place in each image, or BuildKit would take the layer that it has.
    dockerfile.write_text(f"FROM scratch\nCOPY . /{uuid.uuid4()}/\n")
    asked = output(Layers(compression=compression), "oci")
    words = ["build", "--progress=plain", "--provenance=false", f"--file={dockerfile}"]
    done = subprocess.run(
        [*buildx.command, *words, f"--output={asked},dest={archive}", str(folder)],
        env=dict(buildx.environment),
        capture_output=True,
        text=True,
        check=True,
    )
    said = _LAYERS.search(done.stderr)
    assert said, done.stderr
    with tarfile.open(archive) as image:

        def blob(digest: str) -> bytes:
            file = image.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}")
            assert file is not None
            return file.read()

        index = image.extractfile("index.json")
        assert index is not None
        manifest = json.loads(blob(json.load(index)["manifests"][0]["digest"]))
        layer = manifest["layers"][0]
        (scratch / "layer").write_bytes(blob(layer["digest"]))
    begun = time.monotonic()
    program = compression.partition(":")[0]
    with (scratch / "layer").open("rb") as file:
        subprocess.run([program, "-dc"], stdin=file, stdout=subprocess.DEVNULL, check=True)
    return Measured(float(said[1]), int(layer["size"]), time.monotonic() - begun)


def main(folders: list[Path]) -> None:
    """Measure each folder with each compression, and print what came of it."""
    engine = connect()
    buildx = find_buildx(engine)
    print(*(f"- {name}: {value}" for name, value in machine().items()), sep="\n")
    print(f"- engine: Docker {engine.version}\n")
    rows = []
    for folder in folders:
        first: Measured | None = None
        for compression in COMPRESSIONS:
            with TemporaryDirectory() as scratch:
                found = measured(buildx, folder, compression, Path(scratch))
            first = first or found
            cells = (
                f"{found.compress:.1f} ({found.compress / first.compress:.2f})",
                f"{found.size / 1e6:.0f} ({found.size / first.size:.2f})",
                f"{found.decompress:.1f} ({found.decompress / first.decompress:.2f})",
            )
            rows.append((folder.name, compression, *cells))
    print(table(("files", "compression", "s to compress", "MB", "s to decompress"), rows))


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
