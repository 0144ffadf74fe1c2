"""The owner's kit: the image tests itself on a machine that is not ours, and its file verifies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from testinfra.host import Host

from conftest import ImageUnderTest, SelftestRun
from rocm_images.plan.cells import cells_of
from rocm_images.smoke.selftest import Selftest
from rocm_images.smoke.verification import verify

# On a GPU the tests of the tiers themselves run them all.
pytestmark = pytest.mark.no_gpu


def test_the_self_test_passes_as_far_as_there_is_something_to_run_and_verifies(
    image: ImageUnderTest, host: Host, selftest: SelftestRun, tmp_path: Path
) -> None:
    assert selftest.code == 0, selftest.stderr
    path = tmp_path / "evidence.json"
    path.write_text(selftest.text)
    found = verify(path, cells_of(image.matrix))
    assert isinstance(found, Selftest)
    assert (found.level, found.passed) == (str(image.machine.level), True)
    assert [(tier.name, tier.status) for tier in found.tiers] == [
        ("doctor", "passed"),
        ("probe", "passed"),
        ("serve", "not-run"),
        ("race", "not-run"),
    ]
    assert {tier.sentence for tier in found.tiers[2:]} == {"not run: no GPU"}
    assert found.image.contents == host.check_output("image-selftest --contents")
    assert json.loads(selftest.text)["image"]["description"]["cell"] == image.cell.name
