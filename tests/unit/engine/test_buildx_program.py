"""The plugin that docker would run is found where docker looks, and docker is the way out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from rocm_images.engine import buildx_program
from rocm_images.engine.buildx_program import buildx_command, with_settings
from rocm_images.errors import EngineError


def program(path: Path, says: str = "github.com/docker/buildx v0.13.1 x", status: int = 0) -> Path:
    """A program that prints one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {status}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """A machine with no buildx: empty folders for the user, the system and PATH."""
    for name in ("home/.docker", "bin", "system"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(buildx_program, "SYSTEM_FOLDERS", (str(tmp_path / "system"),))
    return {"HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "bin")}


def test_the_users_plugin_comes_before_the_systems(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    program(tmp_path / "bin" / "docker")
    system = program(tmp_path / "system" / "docker-buildx")
    assert buildx_command(environment) == (str(system),)
    more = program(tmp_path / "more" / "docker-buildx")
    folders = {"cliPluginsExtraDirs": [7, str(more.parent)]}
    (tmp_path / "home" / ".docker" / "config.json").write_text(json.dumps(folders))
    assert buildx_command(environment) == (str(more),)
    own = program(tmp_path / "home" / ".docker" / "cli-plugins" / "docker-buildx")
    assert buildx_command(environment) == (str(own),)
    elsewhere = program(tmp_path / "configuration" / "cli-plugins" / "docker-buildx")
    told = {**environment, "DOCKER_CONFIG": str(tmp_path / "configuration")}
    assert buildx_command(told) == (str(elsewhere),)


@pytest.mark.parametrize("text", ["", "[]", "7", '{"cliPluginsExtraDirs": 7}', "{"])
def test_a_configuration_that_cannot_be_used_is_passed_over(
    text: str, tmp_path: Path, environment: Mapping[str, str]
) -> None:
    (tmp_path / "home" / ".docker" / "config.json").write_text(text)
    system = program(tmp_path / "system" / "docker-buildx")
    assert buildx_command(environment) == (str(system),)


def test_docker_is_asked_where_no_plugin_is_found_or_none_works(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    program(tmp_path / "bin" / "docker")
    assert buildx_command(environment) == ("docker", "buildx")
    program(tmp_path / "system" / "docker-buildx", status=1)
    assert buildx_command(environment) == ("docker", "buildx")


def test_a_buildx_on_the_path_needs_no_docker(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    program(tmp_path / "bin" / "docker", "docker: 'buildx' is not a docker command.", 1)
    program(tmp_path / "bin" / "docker-buildx")
    assert buildx_command(environment) == ("docker-buildx",)


@pytest.mark.parametrize("variable", ["DOCKER_TLS_VERIFY", "DOCKER_TLS"])
def test_where_variables_ask_for_tls_docker_starts_it_as_it_reads_none_by_itself(
    tmp_path: Path, environment: Mapping[str, str], variable: str
) -> None:
    program(tmp_path / "bin" / "docker-buildx")
    program(tmp_path / "system" / "docker-buildx")
    assert buildx_command({**environment, variable: ""})[0].endswith("/docker-buildx")
    with pytest.raises(EngineError, match="reads no DOCKER_TLS_VERIFY: install docker's command"):
        buildx_command({**environment, variable: "1"})
    program(tmp_path / "bin" / "docker")
    assert buildx_command({**environment, variable: "1"}) == ("docker", "buildx")


def test_a_missing_buildx_is_a_sentence_that_says_what_to_install(
    environment: Mapping[str, str],
) -> None:
    with pytest.raises(EngineError, match="buildx is missing: install it"):
        buildx_command(environment)


def test_a_buildx_that_is_too_old_is_a_sentence(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    program(tmp_path / "system" / "docker-buildx", "github.com/docker/buildx v0.9.1 x")
    with pytest.raises(EngineError, match=r"version 0\.9\.1, too old"):
        buildx_command(environment)


@pytest.mark.parametrize("home", ["/proc", "{}/file/home"])
def test_where_the_users_settings_cannot_be_written_buildx_has_others(
    home: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for variable in ("HOME", "DOCKER_CONFIG"):
        asked = {"HOME": "/proc", variable: home.format(tmp_path)}
        given = with_settings(asked)
        assert os.access(given["BUILDX_CONFIG"], os.W_OK)
        assert given.items() >= asked.items()


def test_the_users_own_settings_of_buildx_stay_where_they_are(tmp_path: Path) -> None:
    for environment in (
        {"HOME": str(tmp_path)},
        {"HOME": "/proc", "DOCKER_CONFIG": str(tmp_path)},
        {"HOME": "/proc", "BUILDX_CONFIG": str(tmp_path)},
    ):
        assert with_settings(environment) == environment
