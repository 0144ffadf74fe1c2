"""AMD's runtimes come from a distribution that moves, and a rehearsal goes on all the same."""

from __future__ import annotations

import json
from pathlib import Path

import docker
import pytest
from four_cells import MATRIX

from rehearsal import bases, hip_packages
from rehearsal.engine import PrivateEngine
from rehearsal.root import root_image
from rocm_images.errors import EngineError
from rocm_images.recipe.labels import IMITATION

SMALL = "libhiprtc-builtins7"


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Writes other pins: one small package in the place of all."""

    def write(
        *,
        version: str = "0.0.1-1",
        suite: str = "experimental",
        name: str = SMALL,
        release: str = "7.2.4",
    ) -> None:
        package = {"name": name, "suite": suite, "version": version, "sha256": "0" * 64}
        path = tmp_path / "pins.json"
        path.write_text(json.dumps({release: {"runtime": name, "packages": [package]}}))
        monkeypatch.setattr(hip_packages, "PINS", path)

    return write


def test_where_a_pinned_version_is_gone_the_newest_of_its_suite_is_taken_and_noted(
    client: docker.DockerClient, pins, tmp_path: Path
) -> None:
    pins(version="0.0.1-1")
    cache = tmp_path / "cache"
    taken = hip_packages.fetch(client, root_image(client), cache, "7.2.4")
    assert not taken.pinned
    (package,) = taken.packages
    assert package.version != "0.0.1-1"
    assert package.is_in(cache)
    assert taken.whose == f"{SMALL} {package.version} of Debian"
    # What is there is not fetched again: there is no engine to do it.
    assert hip_packages.fetch(None, "", cache, "7.2.4") == taken  # type: ignore[arg-type]
    package.archive(cache).write_bytes(b"cut off")
    assert "7.2.4" not in hip_packages.taken(cache)


def test_a_package_that_left_its_suite_is_taken_from_where_it_is_now(
    client: docker.DockerClient, pins, tmp_path: Path
) -> None:
    # As when what was in experimental moves on to sid.
    pins(version="0.0.1-1", name="hostname")
    taken = hip_packages.fetch(client, root_image(client), tmp_path, "7.2.4")
    assert taken.packages[0].name == "hostname"
    assert not taken.pinned


def test_where_nothing_is_to_be_had_the_imitation_takes_its_place_until_something_is(
    client: docker.DockerClient,
    pins,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(bases, "HIP_CACHE", tmp_path / "cache")
    real = bases.base_reference(MATRIX, "7.2.2")
    pins(version="0.0.1-1", suite="no-such-suite")
    with pytest.raises(EngineError, match="apt cannot fetch AMD's HIP runtimes"):
        hip_packages.fetch(client, root_image(client), bases.HIP_CACHE, "7.2.4")
    bases.fetch_runtime(client, "7.2.4")
    said = capsys.readouterr().err
    assert said.count("AMD's HIP runtime 7.2.4 is not to be had (the imitation takes its") == 1
    assert bases.runtime_of(MATRIX, "7.2.2") is None
    imitated = bases.base_reference(MATRIX, "7.2.2")
    assert imitated != real
    with pytest.raises(EngineError, match="without it nothing is shown"):
        bases.make_laboratory(None, client)  # type: ignore[arg-type]
    pins(version="0.0.1-1")
    bases.fetch_runtime(client, "7.2.4")
    found = bases.runtime_of(MATRIX, "7.2.2")
    assert found is not None
    assert not found.pinned


@pytest.mark.parametrize(
    ("pin", "error", "stops_at"),
    [
        ({"name": "no-such-package"}, hip_packages.Dropped, "7.2.4"),
        # What cannot be reached is not gone: tests must not be left out because of it.
        ({"suite": "no-such-suite"}, EngineError, "6.4.3"),
        ({"suite": "no-such-suite", "name": "no-such-package"}, EngineError, "6.4.3"),
    ],
)
def test_only_what_debian_dropped_is_left_out_of_the_laboratory(
    client: docker.DockerClient,
    pins,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pin: dict[str, str],
    error: type[EngineError],
    stops_at: str,
) -> None:
    monkeypatch.setattr(bases, "HIP_CACHE", tmp_path / "cache")
    pins(release="6.4.3", **pin)
    with pytest.raises(EngineError, match="apt cannot fetch") as raised:
        hip_packages.fetch(client, root_image(client), bases.HIP_CACHE, "6.4.3")
    assert raised.type is error
    with pytest.raises(EngineError, match=f"runtime {stops_at} is not to be had, and without it"):
        bases.make_laboratory(None, client)  # type: ignore[arg-type]


def test_a_cache_that_is_whole_is_used_whatever_failed_the_last_time(
    client: docker.DockerClient, tmp_path: Path
) -> None:
    with PrivateEngine().only_one():
        for release in hip_packages.pinned():
            bases.fetch_runtime(client, release)
    pinned = hip_packages.pinned()
    content = {package.name: package for one in pinned.values() for package in one.packages}
    assert hip_packages.taken(tmp_path) == pinned
    hip_packages.note_unusable(tmp_path, "6.4.3")
    assert list(hip_packages.taken(tmp_path)) == ["7.2.4"]
    for package in content.values():
        cached = package.archive(bases.HIP_CACHE)
        assert cached.is_file()
        package.archive(tmp_path).symlink_to(cached)
    assert hip_packages.taken(tmp_path) == pinned


def test_the_release_with_the_published_bugs_is_imitated_and_the_fixed_one_is_amds() -> None:
    assert bases.is_imitated(MATRIX, "7.2.0")
    assert bases.runtime_of(MATRIX, "7.2.0") is None
    assert not bases.is_imitated(MATRIX, "7.2.2")
    # A release that has another build of HIP is not what AMD's 7.2.4 shows.
    newer = {"7.3.0": MATRIX.bases["7.2.2"], **MATRIX.bases}
    assert bases.is_imitated(MATRIX.model_copy(update={"bases": newer}), "7.3.0")
    assert IMITATION not in str(bases.runtime_of(MATRIX, "7.2.2"))
