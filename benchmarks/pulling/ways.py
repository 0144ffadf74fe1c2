"""The ways to publish that are compared, each with the command that pushes an image."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pulling import image
from rocm_images.places import PROJECT
from rocm_images.plan.load import load
from rocm_images.recipe.compression import output

_PLAIN = ("--progress=plain", "--provenance=false")


@dataclass(frozen=True)
class Way(ABC):
    """One program with its options, and the Dockerfile that it builds."""

    name: str
    dockerfile: Callable[[str], str]
    """By the name of the base."""
    context: Path
    pulled: bool = True
    """Whether its image is pulled too, and a next release of it made: one of each kind will do."""

    @property
    def repository(self) -> str:
        """Where it pushes to, below a registry's address."""
        return "bench/" + "".join(c if c.isalnum() else "-" for c in self.name)

    def write(self, base: str) -> Path:
        """Its Dockerfile, on a base of this name."""
        path = self.context / f"{self.repository.replace('/', '-')}.Dockerfile"
        path.write_text(self.dockerfile(base))
        return path

    def build(self, base: str) -> list[str]:
        """The command that makes its layers and sends nothing."""
        words = ["docker", "buildx", "build", *_PLAIN, f"--file={self.write(base)}"]
        return [*words, "--output=type=cacheonly", str(self.context)]

    @abstractmethod
    def push(self, base: str, address: str, tag: str) -> list[str]:
        """The command that compresses the layers and pushes the image."""


@dataclass(frozen=True)
class Buildx(Way):
    """`docker buildx build` with options of its output, as build.py runs it."""

    output: str = "type=image"

    def push(self, base: str, address: str, tag: str) -> list[str]:
        """`docker buildx build --output type=image,push=true,...`."""
        options = (self.output, f"name={address}/{self.repository}:{tag}", "push=true")
        words = ["docker", "buildx", "build", *_PLAIN, f"--file={self.write(base)}"]
        return [*words, f"--output={','.join(options)}", str(self.context)]


class Bake(Way):
    """`docker buildx bake --push`, which compresses with gzip unasked."""

    def push(self, base: str, address: str, tag: str) -> list[str]:
        """`docker buildx bake --push --file bench-bake.json`."""
        target = {
            "context": str(self.context),
            "dockerfile": str(self.write(base)),
            "attest": ["type=provenance,disabled=true"],
            "tags": [f"{address}/{self.repository}:{tag}"],
        }
        path = self.context / "bench-bake.json"
        path.write_text(json.dumps({"target": {"default": target}}))
        return ["docker", "buildx", "bake", "--progress=plain", "--push", f"--file={path}"]


@dataclass(frozen=True)
class PositBakery(Way):
    """`bakery build --push`; it gives the image tags of its own choice."""

    program: Path = Path("bakery")

    def push(self, base: str, address: str, tag: str) -> list[str]:
        """`bakery build --push`."""
        path = self.context / "pulled" / tag / "Containerfile.debian13"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.dockerfile(base))
        version = {"name": tag, "latest": True, "os": [{"name": "Debian 13", "primary": True}]}
        document = {
            "repository": {
                "url": "https://example.org/images",
                "vendor": "none",
                "maintainer": "none <none@example.org>",
            },
            "registries": [{"host": address, "namespace": "bench"}],
            "images": [{"name": "pulled", "versions": [version]}],
        }
        # JSON is YAML.
        (self.context / "bakery.yaml").write_text(json.dumps(document))
        return [str(self.program), "build", "--push", f"--context={self.context}"]


GZIP_BEFORE, GZIP, ZSTD, ZSTD_BASE = (
    "gzip, before the split",
    "bake: gzip",
    "zstd",
    "zstd, base recompressed",
)


def ways(context: Path, bakery: Path) -> list[Way]:
    """All of them, for the image whose parts are in `context`; zstd as matrix.yaml has it."""
    layers = load(PROJECT / "matrix.yaml").layers
    recompressed = layers.model_copy(update={"recompress_base": True})
    return [
        Buildx(GZIP_BEFORE, image.before, context),
        Bake(GZIP, image.split, context),
        PositBakery("posit-bakery: gzip", image.split, context, pulled=False, program=bakery),
        Buildx(ZSTD, image.split, context, output=output(layers)),
        Buildx(ZSTD_BASE, image.split, context, output=output(recompressed)),
    ]
