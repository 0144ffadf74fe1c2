"""What the split of a stage into layers asks of BuildKit's linked copies."""

from __future__ import annotations

import subprocess
from pathlib import Path

from four_cells import MATRIX

from conftest import Answer
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
 && test "$(stat -c %h%i /made/one)" = "$(stat -c %h%i /made/file/other)" \\
 && stat -c 'one has %h names' /made/one >> /seen
FROM scratch
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
one has 2 names
"""


def test_a_linked_copy_keeps_hard_links_and_covers_what_was_another_kind(
    rehearsed: Answer, buildx: Buildx, tmp_path: Path
) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(DOCKERFILE)
    base = f"docker-image://{base_reference(MATRIX, '7.2.2')}"
    request = BuildRequest(dockerfile, tmp_path, (), {"base": base}, {}, tmp_path / "log")
    *words, folder = command(buildx, request)
    done = subprocess.run(
        [*words, f"--output=type=local,dest={tmp_path / 'out'}", folder],
        env=dict(buildx.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "seen").read_text() == SEEN
