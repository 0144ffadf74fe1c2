"""What the split of a stage into layers asks of BuildKit's linked copies."""

from __future__ import annotations

import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
from four_cells import MATRIX

from rehearsal.bases import base_reference
from rocm_images.engine.buildx import BuildRequest, Buildx, command

DOCKERFILE = """\
FROM base AS below
RUN mkdir -p /made/folder && touch /made/file /made/folder/old && ln -s folder /made/link
FROM below AS stage
RUN mkdir -p /layer/made/file /layer/made/link \\
 && touch /layer/made/file/new /layer/made/link/new /layer/made/folder \\
 && echo content > /layer/made/one && ln /layer/made/one /layer/made/file/other
FROM below AS image
COPY --link --from=stage /layer/ /
FROM image AS seen
RUN find /made -printf '%P %y\\n' | sort > /seen \\
 && test /made/one -ef /made/file/other
FROM scratch AS layer
COPY --link --from=stage /layer/ /
FROM scratch AS listed
COPY --from=seen /seen /
"""
SEEN = """\
 d
file d
file/new f
file/other f
folder f
link d
link/new f
one f
"""


@dataclass(frozen=True)
class Builds:
    """Builds of the stages above."""

    engine: Buildx
    folder: Path

    def built(self, target: str, output: str) -> None:
        dockerfile = self.folder / "Dockerfile"
        dockerfile.write_text(DOCKERFILE)
        base = {"base": f"docker-image://{base_reference(MATRIX, '7.2.2')}"}
        log = self.folder / "log"
        request = BuildRequest(dockerfile, self.folder, (), base, {}, log, target=target)
        *words, context = command(self.engine, request)
        done = subprocess.run(
            [*words, f"--output={output}", context],
            env=dict(self.engine.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture
def builds(stand_in_bases: None, buildx: Buildx, tmp_path: Path) -> Builds:
    return Builds(buildx, tmp_path)


def test_a_linked_copy_covers_what_was_another_kind_and_keeps_hard_links(builds: Builds) -> None:
    builds.built("listed", f"type=local,dest={builds.folder / 'out'}")
    assert (builds.folder / "out" / "seen").read_text() == SEEN


def test_the_layer_of_a_linked_copy_holds_a_file_of_two_names_once(builds: Builds) -> None:
    path = builds.folder / "image.tar"
    builds.built("layer", f"type=oci,dest={path}")
    with tarfile.open(path) as image:

        def blob(digest: str) -> IO[bytes]:
            found = image.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert found
            return found

        index = image.extractfile("index.json")
        assert index
        (top,) = json.load(index)["manifests"]
        (layer,) = json.load(blob(top["digest"]))["layers"]
        with tarfile.open(fileobj=blob(layer["digest"])) as files:
            kinds = {member.name.lstrip("./"): member.type for member in files}
    assert {kinds["made/one"], kinds["made/file/other"]} == {tarfile.REGTYPE, tarfile.LNKTYPE}
