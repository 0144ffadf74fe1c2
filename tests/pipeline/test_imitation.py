"""The imitation of HIP is what it claims to be: in its base, by the measured matrix, sanitized."""

from __future__ import annotations

import site
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from four_cells import MATRIX

from conftest import PROJECT, run_in
from rehearsal.stand_ins import Rehearsal
from rocm_images.engine.connect import Engine
from rocm_images.plan.cells import cells_of
from rocm_images.recipe.labels import HIP_RUNTIME, IMITATION

TESTS_IN_BASE = 55


def test_the_stand_in_agrees_with_the_measured_matrix_and_with_the_sanitizers(
    running_engine: Engine, tmp_path: Path
) -> None:
    Rehearsal().prepared(MATRIX, cells_of(MATRIX))
    client = running_engine.client()
    base = next(
        tag
        for image in client.api.images(filters={"label": f"{HIP_RUNTIME}={IMITATION}"})
        for tag in image["RepoTags"] or ()
        if "/base:" in tag
    )
    # pytest is pure Python, so the base's interpreter can use this environment's copy.
    packages = site.getsitepackages()[0]
    results = tmp_path / "results"
    results.mkdir()
    words = ["python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=/project"]
    words += ["--junit-xml=/results/results.xml", "/project/tests/stand_in"]
    status, out, err = run_in(
        client,
        base,
        words,
        entrypoint="",
        working_dir="/project",
        environment={
            "PYTHONPATH": "/packages",
            "PYTHONDONTWRITEBYTECODE": "1",
            # Those of this environment are for its own Python.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        volumes={
            str(PROJECT): {"bind": "/project", "mode": "ro"},
            packages: {"bind": "/packages", "mode": "ro"},
            str(results): {"bind": "/results", "mode": "rw"},
        },
        # ThreadSanitizer chooses its own addresses, which the default profile forbids.
        security_opt=["seccomp=unconfined"],
    )
    client.close()
    assert status == 0, out + err
    cases = list(ElementTree.parse(results / "results.xml").iter("testcase"))
    assert len(cases) == TESTS_IN_BASE
    assert not [case for case in cases if len(case)]
