"""A socket that cannot be used is told of with what is there, and not with what to install."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from made_up_engine import made_up_engine
from reaching import refused

pytestmark = pytest.mark.usefixtures("no_docker")


def a_program(folder: Path, name: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)


def test_a_client_without_an_engine_is_told_what_to_install(tmp_path: Path) -> None:
    a_program(tmp_path / "bin", "docker")
    sentence = refused({})
    assert f"unix://{tmp_path}/docker.sock (Docker's default; nothing listens there)" in sentence
    assert "install Docker Engine 23 or later with buildx" in sentence


def test_an_engine_that_is_installed_is_to_be_started(tmp_path: Path) -> None:
    a_program(tmp_path / "bin", "dockerd")
    sentence = refused({})
    assert "dockerd is installed: start it (`sudo systemctl start docker`)" in sentence
    assert "install Docker" not in sentence


def test_where_a_name_leads_nowhere_the_engine_that_is_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with made_up_engine(tmp_path / "run" / "docker.sock"):
        sentence = refused({"DOCKER_HOST": f"unix://{tmp_path}/absent.sock"})
    assert f"or use the one at DOCKER_HOST=unix://{tmp_path}/run/docker.sock" in sentence
    assert "install" not in sentence


@pytest.mark.parametrize("left", ["docker.sock", "run/docker.sock"])
def test_a_socket_that_nobody_listens_at_is_to_be_started(tmp_path: Path, left: str) -> None:
    (tmp_path / "run").mkdir()
    with closing(socket.socket(socket.AF_UNIX)) as gone:
        gone.bind(str(tmp_path / left))
    sentence = refused({})
    command = "sudo systemctl" if left == "docker.sock" else "systemctl --user"
    assert f"its socket is left: start it (`{command} start docker`)" in sentence
    assert "install" not in sentence
    assert "rootless engine's DOCKER_HOST" not in sentence
    (tmp_path / "run" / "docker.sock").touch()
    own = f"or use your rootless engine's DOCKER_HOST=unix://{tmp_path}/run/docker.sock"
    assert (own in refused({})) is (left == "docker.sock")


@pytest.mark.parametrize("made", [Path.mkdir, Path.touch])
def test_what_a_volume_left_in_the_sockets_place_is_no_engine(
    tmp_path: Path, made: Callable[[Path], None]
) -> None:
    made(tmp_path / "docker.sock")
    sentence = refused({})
    assert "it is a folder" in sentence or "it is no socket" in sentence
    assert "remove it and start the engine, or in a container mount its host's socket" in sentence


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[None]:
    """This process as a user who may not use what the tests made."""
    tmp_path.chmod(0o755)
    if os.geteuid() == 0:
        os.seteuid(65534)
    yield
    if os.getuid() == 0:
        os.seteuid(0)


@pytest.mark.parametrize("rootless", [True, False])
def test_a_socket_that_one_may_not_use_names_the_group_and_the_rootless_engine(
    tmp_path: Path, rootless: bool, request: pytest.FixtureRequest
) -> None:
    (tmp_path / "run").mkdir()
    if rootless:
        (tmp_path / "run" / "docker.sock").touch()
    with made_up_engine(tmp_path / "docker.sock") as engine:
        (tmp_path / "docker.sock").chmod(0)
        request.getfixturevalue("nobody")
        sentence = refused({})
    assert engine.asked == []
    assert f"{tmp_path}/docker.sock (Docker's default; permission denied)" in sentence
    assert "`sudo usermod -aG docker $USER`, then log in again" in sentence
    own = f"your rootless engine's DOCKER_HOST=unix://{tmp_path}/run/docker.sock"
    assert (own in sentence) is rootless
    assert "install" not in sentence


def test_a_socket_in_a_folder_of_its_owners_is_not_to_be_had_by_a_group(
    request: pytest.FixtureRequest,
) -> None:
    # Not below tmp_path, whose parents are their owner's, too.
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        own = Path(folder) / "own"
        own.mkdir(mode=0o700)
        with made_up_engine(own / "docker.sock") as engine:
            (own / "docker.sock").chmod(0)
            request.getfixturevalue("nobody")
            sentence = refused({"DOCKER_HOST": f"unix://{own}/docker.sock"})
            os.seteuid(os.getuid())
    assert engine.asked == []
    assert f"permission denied): only its owner may enter {own}: do this as root" in sentence
    assert "usermod" not in sentence
