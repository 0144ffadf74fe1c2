"""A small matrix that tests change one line of, the project's own, and hypothesis's settings."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, configuration, settings
from surroundings import settle

from rocm_images import telling, turns
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.load import load
from told import Told, hasty_terminal, heard, time_that_tests_change

settle()

PROJECT = Path(__file__).resolve().parent.parent.parent

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


@pytest.fixture(autouse=True)
def turns_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No test waits for what other tests build or publish in this folder at the same time."""
    monkeypatch.setattr(turns, "FOLDER", tmp_path_factory.getbasetemp() / "turns")


@pytest.fixture(autouse=True)
def silence_of_its_own() -> None:
    """What a test waits for is not said because other tests told nothing before it."""
    telling.begin()


SMALL = """\
image:
  source: https://example.org/images
  licenses: Apache-2.0
archs:
  942:
    gfx: gfx942
    family: mi30x
    gpus: [AMD Instinct MI300X]
  950:
    gfx: gfx950
    family: mi35x
    gpus: [AMD Instinct MI350X]
bases:
  7.2.0:
    image: rocm/pytorch:rocm7.2
    python: "3.10"
    torch: 2.9.1
  7.2.2:
    image: rocm/pytorch:rocm7.2.2
    python: "3.10"
    torch: 2.9.1
    recommended: true
servers:
  sglang:
    repository: sglang-rocm
    title: SGLang for AMD GPUs
    sources:
      sglang:
        git: https://example.org/sglang.git
        ref: v0.5.21
        version: 0.5.21
        why: a reason
      aiter:
        git: https://example.org/aiter.git
        ref: c16d44b93a528b2a4bfd6d8d3409116d465872a9
        version: 0.1.19
        why: a reason
      fast-hadamard-transform: {git: https://a.org/f, version: 1.0.4, why: it is, \
        ref: 46efb7d776d38638fc39f3c803eaee3dd7016bd1}
    downloads:
      rustup:
        url: https://example.org/rustup-init
        sha256: 20a06e644b0d9bd2fbdbfd52d42540bdde820ea7df86e92e533c073da0cdd43c
        version: 1.28.2
        toolchain: 1.90.0
        why: a reason
    extra:
      name: srt_hip
      why: a reason
    env:
      SGLANG_USE_AITER_AR:
        value: 1
        why: a reason
advisories:
  - id: hip-event-query
    component: HIP runtime
    affected:
      rocm: "<7.2.1"
    symptom: a crash
    set:
      SGLANG_USE_AITER_AR: 0
    why: a reason
    fixed_in: ROCm 7.2.1
    references: [sgl-project/sglang#23581]
date: 2026-11-24
"""


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile(config.getoption("--hypothesis-profile") or "same")


@pytest.fixture
def matrix_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes the small matrix with texts replaced; returns its path."""

    def write(*replacements: tuple[str, str]) -> Path:
        text = SMALL
        for old, new in replacements:
            assert text.count(old) >= 1, f"{old!r} is not in the small matrix"
            text = text.replace(old, new, 1)
        path = tmp_path / "matrix.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def with_bases(tmp_path: Path) -> Callable[..., Path]:
    """Copies the project's matrix with bases that it lacks, each a block as the README has it."""

    def write(*releases: str) -> Path:
        found = re.search(
            r"```yaml\nbases:\n(  ([\d.]+):\n.*?)```",
            (PROJECT / "README.md").read_text(),
            re.DOTALL,
        )
        assert found, "the README shows no base"
        block, shown = found.groups()
        text = (PROJECT / "matrix.yaml").read_text()
        blocks = [block.replace(shown, new) for new in releases if f"\n  {new}:\n" not in text]
        path = tmp_path / "matrix.yaml"
        path.write_text(text.replace("\nbases:\n", f"\nbases:\n{''.join(blocks)}", 1))
        return path

    return write


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What a person would be told of waits, by a clock of the test's own."""
    return heard(monkeypatch)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    hasty_terminal(monkeypatch)


@pytest.fixture
def now(told: Told, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which only the test changes."""
    return time_that_tests_change(monkeypatch)


@pytest.fixture
def small_matrix(matrix_file: Callable[..., Path]) -> Matrix:
    return load(matrix_file())


@pytest.fixture(scope="session")
def project_matrix() -> Matrix:
    return load(PROJECT / "matrix.yaml")
