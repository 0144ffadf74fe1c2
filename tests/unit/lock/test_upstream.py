"""Without an engine buildx asks registries, whatever engine the environment names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docker_contexts import use_context
from rocm_images.lock.upstream import Unresolved, digest_by_buildx

DIGEST = f"sha256:{'a' * 64}"
# As buildx does: it fails for a context that does not exist, though it needs none.
_BUILDX = f"""\
#!/bin/sh
test "$1" = version && echo github.com/docker/buildx v0.13.1 && exit
test "$DOCKER_HOST" && test -z "$DOCKER_CONTEXT$DOCKER_TLS_VERIFY" || exit 1
echo '{{"digest": "{DIGEST}"}}'
"""


@pytest.mark.parametrize("name", ["DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_HOST", "LANG"])
def test_an_engine_that_cannot_be_had_is_not_in_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    configuration = tmp_path / "configuration"
    use_context(configuration, "gone")
    plugin = configuration / "cli-plugins" / "docker-buildx"
    plugin.parent.mkdir()
    plugin.write_text(_BUILDX)
    plugin.chmod(0o755)
    monkeypatch.setenv("DOCKER_CONFIG", str(configuration))
    monkeypatch.setenv(name, "gone")
    assert digest_by_buildx("rocm/pytorch:latest") == DIGEST


def test_dockers_folder_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As buildx does: it ends where it cannot make its folder.
    plugin = tmp_path / "docker-buildx"
    makes_it = 'mkdir -p "${BUILDX_CONFIG:-$DOCKER_CONFIG/buildx}" || exit 1\n'
    plugin.write_text(_BUILDX.replace("echo '{", f"{makes_it}echo '{{"))
    plugin.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_CONFIG", "/proc/absent")
    assert digest_by_buildx("rocm/pytorch:latest") == DIGEST


@pytest.mark.parametrize(
    ("configuration", "image", "said"),
    [
        (
            {"credsStore": "absent"},
            "rocm/pytorch:latest",
            "config.json: credsStore names docker-credential-absent, which is not on the PATH, so "
            "that no credentials for docker.io can be had",
        ),
        (
            {"credHelpers": {"registry.example.org:5000": "absent"}},
            "registry.example.org:5000/pytorch:1",
            "config.json: credHelpers 'registry.example.org:5000' names docker-credential-absent",
        ),
        ({}, "rocm/pytorch:latest", "error getting credentials - err: exec: it: see credsStore"),
    ],
)
def test_a_helper_that_is_missing_is_named_with_its_place(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    configuration: dict[str, object],
    image: str,
    said: str,
) -> None:
    says = "echo 'ERROR: error getting credentials - err: exec: it' >&2; exit 1\n"
    plugin = tmp_path / "docker-buildx"
    plugin.write_text(_BUILDX.replace("echo '{", f"{says}echo '{{"))
    plugin.chmod(0o755)
    (tmp_path / "config.json").write_text(json.dumps(configuration))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(Unresolved) as caught:
        digest_by_buildx(image)
    assert said in str(caught.value)
