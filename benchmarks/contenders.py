"""The programs that are compared, each with the command that builds all images."""

from __future__ import annotations

import json
import re
import shlex
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.project_copy import ProjectCopy
from rehearsal import stand_ins
from rocm_images.plan.cells import Cell
from rocm_images.references import CONTEXT


@dataclass(frozen=True)
class Contender(ABC):
    """One program. `environment` is that of its process."""

    name: str
    environment: Mapping[str, str]

    @abstractmethod
    def words(self, project: ProjectCopy) -> list[str]:
        """The command line, run in the project's folder; writes what files it needs."""


class BuildPy(Contender):
    """build.py as a user starts it, without smoke tests where the others have none."""

    def words(self, project: ProjectCopy) -> list[str]:
        """`build.py --rehearse --no-smoke --jobs 4`, with the base's replacement."""
        words = [sys.executable, "build.py", "--rehearse", "--no-smoke", "--jobs=4"]
        words += [f"--base={base}" for base in project.bases]
        if project.base:
            rocm, image = project.base
            name = project.matrix.bases[rocm].image
            words.append(f"--context={name}=docker-image://{image}")
        return words


class OneAfterTheOther(Contender):
    """A shell script of a `docker buildx build` for each, with the same options as build.py's."""

    def words(self, project: ProjectCopy) -> list[str]:
        """`sh one-after-the-other.sh`."""
        lines = ["set -e"]
        for cell, dockerfile in project.dockerfiles():
            words = ["docker", "buildx", "build", "--progress=plain", "--provenance=false"]
            words += [f"--file={dockerfile}", f"--build-arg=SOURCE_DATE_EPOCH={cell.epoch}"]
            words += [f"--tag={tag}" for tag in tags(cell, "bench/one-by-one")]
            words += [f"--build-context={n}={s}" for n, s in project.contexts(cell).items()]
            words += [f"--label={name}={value}" for name, value in stand_ins.LABELS.items()]
            lines.append(shlex.join([*words, str(project.folder / "images" / "rootfs")]))
        script = project.folder / "one-after-the-other.sh"
        script.write_text("\n".join(lines) + "\n")
        return ["sh", str(script)]


@dataclass(frozen=True)
class Bake(Contender):
    """`docker buildx bake` over the same images, with the same options."""

    repository: str = "bench/bake"

    def words(self, project: ProjectCopy) -> list[str]:
        """`docker buildx bake --file bench-bake.json`."""
        targets = {
            cell.name.replace(".", "_"): {
                "context": "images/rootfs",
                "dockerfile": str(dockerfile),
                "contexts": dict(project.contexts(cell)),
                "args": {"SOURCE_DATE_EPOCH": str(cell.epoch)},
                "attest": ["type=provenance,disabled=true"],
                "labels": stand_ins.LABELS,
                "tags": tags(cell, self.repository),
            }
            for cell, dockerfile in project.dockerfiles()
        }
        document = {"group": {"default": {"targets": list(targets)}}, "target": targets}
        (project.folder / "bench-bake.json").write_text(json.dumps(document, indent=2))
        return ["docker", "buildx", "bake", "--progress=plain", "--file=bench-bake.json"]


@dataclass(frozen=True)
class PositBakery(Contender):
    """posit-bakery on a project of as many images with the same Dockerfiles.

    It has no named contexts: base and sources are written into its Containerfiles.
    """

    program: Path

    def words(self, project: ProjectCopy) -> list[str]:
        """`bakery build`."""
        images = []
        for cell, dockerfile in project.dockerfiles():
            name = f"bakery-{cell.name.replace('.', '-')}"
            folder = project.folder / name / "0.5.21"
            folder.mkdir(parents=True, exist_ok=True)
            text = self._containerfile(project, cell, dockerfile.read_text())
            (folder / "Containerfile.ubuntu2204").write_text(text)
            version = {"name": "0.5.21", "latest": True}
            images.append(
                {
                    "name": name,
                    "versions": [{**version, "os": [{"name": "Ubuntu 22.04", "primary": True}]}],
                }
            )
        document = {
            "repository": {
                "url": "https://example.org/images",
                "vendor": "none",
                "maintainer": "none <none@example.org>",
            },
            "registries": [{"host": "docker.io", "namespace": "library"}],
            "images": images,
        }
        # JSON is YAML.
        (project.folder / "bakery.yaml").write_text(json.dumps(document, indent=2))
        return [str(self.program), "build"]

    def _containerfile(self, project: ProjectCopy, cell: Cell, text: str) -> str:
        text = text.replace(f"FROM {cell.base_image} ", f"FROM {project.base_of(cell)} ")
        for name in cell.pins:
            source = name.removesuffix("-src")
            stage = rf"(FROM scratch AS {name}\n)ADD .*"
            mode = "--chmod=0755 " if source in cell.downloads else ""
            context = project.contexts(cell)[name]
            copy = f"COPY {mode}rehearsal/sources/{source} /"
            if context.startswith(CONTEXT):
                copy = f"COPY --from={context.removeprefix(CONTEXT)} / /"
            text, count = re.subn(stage, rf"\g<1>{copy}", text)
            assert count == 1, source
        text = text.replace("=bind,source=opt/", "=bind,source=images/rootfs/opt/")
        return text.replace("=bind,target=/context", "=bind,source=images/rootfs,target=/context")


def tags(cell: Cell, repository: str) -> list[str]:
    """The names of a contender's image: as many as build.py gives, and nobody else's."""
    return [f"{repository}:{tag}" for tag in (*cell.tags, f"{cell.tags[0]}-immutable")]
