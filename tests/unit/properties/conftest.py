"""Puts the images' packages and what other tests make up where these tests can import them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, configuration, settings

PROJECT = Path(__file__).parents[3]
for folder in (
    PROJECT / "images" / "rootfs" / "opt" / "rocm-images",
    PROJECT / "rehearsal" / "sources" / "aiter",
    PROJECT / "tests" / "unit" / "image_doctor",
    PROJECT / "tests" / "unit" / "image_selftest",
    Path(__file__).parent,
):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

# The same documents in each run, and no file of a run before; a slow machine changes nothing.
configuration.set_hypothesis_home_dir(PROJECT / ".cache" / "hypothesis")
SAME = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=40,
    suppress_health_check=list(HealthCheck),
)
settings.register_profile("same", SAME)
# For a hunt by hand: pytest --hypothesis-profile=hunt tests/unit/properties
settings.register_profile("hunt", SAME, derandomize=False, max_examples=500)


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile(config.getoption("--hypothesis-profile") or "same")
