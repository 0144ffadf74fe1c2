"""buildx and docker's command reach a real engine by TLS as the program does."""

from __future__ import annotations

import os
import shutil
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from docker_contexts import make_context
from rocm_images.engine.buildx import find_buildx
from rocm_images.engine.connect import Engine, connect
from rocm_images.engine.endpoint import CHOOSES
from serving import serving
from tcp_engine import Certificates

NAME = "rocm-images-test-of-tls:1"


def pass_on(there: socket.socket, here: socket.socket) -> None:
    with suppress(OSError):
        while content := there.recv(65536):
            here.sendall(content)
        here.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("engine") / "certificates")


@pytest.fixture(scope="module")
def address(running_engine: Engine, certificates: Certificates) -> Iterator[str]:
    """The engine's socket behind a port that asks for a client's certificate."""
    path = running_engine.address.removeprefix("unix://")

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), socket.socket(socket.AF_UNIX) as engine:
                context = certificates.for_clients_alone
                with context.wrap_socket(self.request, server_side=True) as encrypted:
                    engine.connect(path)
                    back = threading.Thread(target=pass_on, args=(engine, encrypted), daemon=True)
                    back.start()
                    pass_on(encrypted, engine)
                    back.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with serving(Server(("127.0.0.1", 0), Connection)) as server:
        yield f"tcp://127.0.0.1:{server.server_address[1]}"


@pytest.mark.parametrize("way", ["DOCKER_HOST", "DOCKER_CONTEXT"])
def test_what_buildx_builds_is_on_the_engine_that_answers(
    running_engine: Engine, certificates: Certificates, address: str, way: str, tmp_path: Path
) -> None:
    configuration = tmp_path / "docker"
    plugins = configuration / "cli-plugins"
    plugins.mkdir(parents=True)
    program, *more = find_buildx(running_engine).command
    if not more:
        found = shutil.which(program, path=running_engine.environment["PATH"])
        assert found
        (plugins / "docker-buildx").symlink_to(found)
    make_context(configuration, "far", address, certificates.folder)
    variables = {
        "DOCKER_HOST": {"DOCKER_HOST": address, "DOCKER_TLS_VERIFY": "1"},
        "DOCKER_CONTEXT": {"DOCKER_CONTEXT": "far"},
    }[way]
    engine = connect(
        {
            **{name: value for name, value in os.environ.items() if name not in CHOOSES},
            "PATH": running_engine.environment["PATH"],
            "DOCKER_CONFIG": str(configuration),
            "DOCKER_CERT_PATH": str(certificates.folder),
            **variables,
        }
    )
    assert engine.address == address
    buildx = find_buildx(engine)
    (tmp_path / "Dockerfile").write_text(f"FROM scratch\nLABEL way={way}\n")
    words = [*buildx.command, "build", f"--tag={NAME}", f"--file={tmp_path}/Dockerfile"]
    there = dict(buildx.environment)
    with closing(running_engine.client()) as client:
        subprocess.run([*words, str(plugins)], env=there, check=True, capture_output=True)
        assert client.images.get(NAME).labels == {"way": way}
        removed = ["docker", "image", "rm", NAME]
        subprocess.run(removed, env=there, check=True, capture_output=True)
        assert client.images.list(NAME) == []
