"""What a run of the image tests left counts for the image that it was found in alone."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from made_up_engine import made_up_engine
from rocm_images.errors import EvidenceInvalid
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.smoke import run
from rocm_images.smoke.evidence import Evidence, Level
from rocm_images.smoke.junit import junit_path
from rocm_images.smoke.outcome import read_findings, read_serve

ONE, OTHER = ("sha256:" + digit * 64 for digit in "12")

# In place of Python with pytest: leaves findings as tests/image/conftest.py does, once it may.
# A shell starts it: a line of #! cannot name a Python whose path holds spaces.
TESTS = """\
#!/bin/sh
''''exec {python} "$0" "$@" #'''
import json, sys
from pathlib import Path
options = dict(word[2:].split("=", 1) for word in sys.argv if "=" in word)
which = options["image"][-1]
Path({fifos!r}, "started " + which).write_text("x")
Path({fifos!r}, "go on " + which).read_text()
Path(options["junit-xml"]).write_text("<testsuites><testcase name='x'/></testsuites>")
document = dict(image_id=options["image"], found=dict(image=options["image"]))
Path(options["probe-result"]).write_text(json.dumps(document))
print("http://me:secret@proxy", "y" * 100_000)
"""


def test_findings_of_another_image_are_no_findings(tmp_path: Path) -> None:
    path = tmp_path / "probe"
    path.write_text(json.dumps({"image_id": OTHER, "found": {"x": 1}}))
    assert read_findings(path, OTHER) == {"x": 1}
    sentence = f"the tests of {ONE} ran in a container of {OTHER}"
    with pytest.raises(EvidenceInvalid, match=re.escape(sentence)):
        read_findings(path, ONE)
    with pytest.raises(EvidenceInvalid, match=re.escape(sentence)):
        read_serve(path, ONE, Level.GPU)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"found": {}}', "{"])
def test_a_file_that_holds_no_findings_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "probe"
    assert read_findings(path, ONE) is None
    path.write_text(text)
    assert read_findings(path, ONE) is None


@contextmanager
def _started(one: threading.Thread) -> Iterator[None]:
    one.start()
    yield
    one.join(timeout=60)
    assert not one.is_alive()


def test_two_runs_of_one_cell_at_once_keep_their_findings_apart(
    small_matrix: Matrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, fifos = cells_of(small_matrix)[0], tmp_path / "fifos"
    fifos.mkdir()
    for name in ("started 1", "started 2", "go on 1", "go on 2"):
        os.mkfifo(fifos / name)
    script = tmp_path / "python"
    script.write_text(TESTS.format(python=shlex.quote(sys.executable), fifos=str(fifos)))
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(run, "_labels_of", lambda engine, image_id: {})
    monkeypatch.setattr(run, "device_for", lambda engine, labels: Level.STAND_IN)
    found: dict[str, Evidence] = {}

    def smoke(image_id: str) -> None:
        log = tmp_path / "logs" / f"{cell.name}.smoke.log"
        evidence = tmp_path / "evidence"
        found[image_id] = run.smoke(made_up.engine, tmp_path, cell, image_id, log, evidence)

    threads = [threading.Thread(target=smoke, args=(image_id,)) for image_id in (ONE, OTHER)]
    with made_up_engine(tmp_path / "engine.sock") as made_up:
        made_up.answers["GET /events"] = made_up.stream(made_up.end)
        made_up.answers["GET /containers/json"] = lambda _: (200, [])
        with _started(threads[0]), _started(threads[1]):
            # Both run before either leaves anything, and the second leaves it last.
            for which in "12":
                (fifos / f"started {which}").read_text()
            (fifos / "go on 1").write_text("x")
            threads[0].join(timeout=60)
            (fifos / "go on 2").write_text("x")
    for image_id in (ONE, OTHER):
        assert found[image_id].passed
        assert (found[image_id].probe or {})["image"] == image_id
        assert junit_path(tmp_path / "evidence", image_id).exists()
    left = [path.name for path in (tmp_path / "logs").iterdir()]
    assert left == [f"{cell.name}.smoke.log"]
    assert "secret" not in (tmp_path / "logs" / left[0]).read_text()
