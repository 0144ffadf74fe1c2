"""An engine is reached as Docker's own command reaches it, or one sentence says what to do."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from docker.errors import NotFound

from docker_contexts import use_context
from made_up_engine import VERSION, MadeUpEngine, Request, made_up_engine
from reaching import refused, with_tls, works
from rocm_images import telling
from rocm_images.engine.connect import connect, connect_if_any
from rocm_images.errors import EngineError
from tcp_engine import Certificates, tcp_engine

pytestmark = pytest.mark.usefixtures("no_docker")


def test_what_is_set_for_registries_is_nothing_to_the_engine(
    ours: Certificates, theirs: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company's bundle and proxy; nobody answers at the proxy."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(theirs.folder / "ca.pem"))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(theirs.folder / "ca.pem"))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with tcp_engine(ours.server) as server:
        assert works(connect(with_tls(server.address, ours.folder)))
    with tcp_engine() as server:
        assert works(connect({"DOCKER_HOST": server.address}))


def test_nobody_at_a_port_or_a_host_without_name_is_said_and_nothing_is_to_be_installed() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
    sentence = refused({"DOCKER_HOST": address})
    assert (
        "(DOCKER_HOST; the connection was refused): start it there, or set DOCKER_HOST" in sentence
    )
    unknown = refused({"DOCKER_HOST": "tcp://docker.invalid:2375"})
    assert "(DOCKER_HOST; docker.invalid is not known: " in unknown
    assert "install" not in sentence + unknown


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, []),
        (200, "OK"),
        (200, {"Version": "26.1"}),
        (200, {"ApiVersion": "1.45"}),
        (200, {"Version": "26.1", "ApiVersion": "new"}),
        (200, {"Version": None, "ApiVersion": None}),
        (403, {"message": "not for you"}),
        (500, "broken"),
    ],
)
def test_what_answers_and_is_no_engine_is_said(status: int, content: object) -> None:
    with tcp_engine() as server:
        server.answers["GET /version"] = lambda _: (status, content)
        sentence = refused({"DOCKER_HOST": server.address})
    assert sentence.startswith(f"no Docker Engine answers at {server.address} (DOCKER_HOST; ")


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "7",
        "{",
        '{"proxies": []}',
        '{"proxies": {"default": 7}}',
        '{"auths": {"a": 7}}',
        '{"auths": {"a": {"auth": "*"}}}',
        '{"credsStore": "absent"}',
    ],
)
def test_what_is_wrong_in_a_configuration_stands_in_no_engines_way(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / "config.json").write_text(content)
    with tcp_engine() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_CONFIG", str(tmp_path))
        assert connect({"DOCKER_HOST": server.address}).address == server.address


@pytest.mark.parametrize("elsewhere", [True, False])
def test_containers_get_the_proxies_of_the_folder_that_docker_config_names(
    default: MadeUpEngine, tmp_path: Path, elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home" / ".docker"
    folder.mkdir(parents=True)
    proxy = "http://proxy.example.org"
    (folder / "config.json").write_text(json.dumps({"proxies": {"default": {"httpProxy": proxy}}}))
    if elsewhere:
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "elsewhere"))
    bodies: list[Any] = []

    def create(request: Request) -> tuple[int, object]:
        bodies.append(request.body)
        return 404, {"message": "no such image"}

    default.answers["POST /containers/create"] = create
    with closing(connect().client()) as asking, pytest.raises(NotFound):
        asking.api.create_container("image")
    (created,) = bodies
    assert (proxy.encode() in created) is not elsewhere


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY"])
def test_a_proxy_in_between_is_named(
    ours: Certificates, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    address = "tcp://docker.invalid:2375"
    given = with_tls(address, ours.folder) if name == "HTTPS_PROXY" else {"DOCKER_HOST": address}
    with tcp_engine() as proxy:
        monkeypatch.setenv(name, proxy.address.replace("tcp", "http"))
        assert "asked through a proxy, by HTTP_PROXY or HTTPS_PROXY: put docker.invalid into" in (
            refused(given)
        )
        monkeypatch.setenv("no_proxy", "docker.invalid")
        assert "docker.invalid is not known" in refused(given)
        # Which docker does not know.
        monkeypatch.delenv("no_proxy")
        monkeypatch.delenv(name)
        monkeypatch.setenv("all_proxy", proxy.address.replace("tcp", "http"))
        assert "docker.invalid is not known" in refused(given)


def test_a_rootless_engine_is_used_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "docker.sock"
    with made_up_engine(path):
        engine = connect()
        connect(os.environ, "the rehearsal's own")
    assert engine.environment["DOCKER_HOST"] == f"unix://{path}"
    found, named = capsys.readouterr().err.splitlines()
    assert found.endswith(f"at unix://{path} (the rootless engine's socket)")
    assert named.endswith(f"at unix://{path} (the rehearsal's own)")


@pytest.fixture
def default(tmp_path: Path) -> Iterator[MadeUpEngine]:
    with made_up_engine(tmp_path / "docker.sock") as engine:
        yield engine


PODMAN = {
    **VERSION,
    "Version": "5.4.2",
    "ApiVersion": "1.41",
    "Components": [7, {"Name": "Podman Engine", "Version": "5.4.2"}, {"Name": "Conmon"}],
}


def test_podman_is_recognised_and_said_to_be_untested(
    default: MadeUpEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    default.answers["GET /version"] = lambda _: (200, PODMAN)
    assert connect().api == "1.41"
    named, warning = capsys.readouterr().err.splitlines()
    assert named.startswith("engine: Podman 5.4.2 at unix://")
    assert re.search("warning: nothing here was tested with Podman", warning)


@pytest.mark.parametrize("components", [None, [], [{"Name": "Engine"}], {"Name": "x"}, 7])
def test_docker_is_not_podman(
    default: MadeUpEngine, components: object, capsys: pytest.CaptureFixture[str]
) -> None:
    default.answers["GET /version"] = lambda _: (200, {**VERSION, "Components": components})
    connect()
    assert capsys.readouterr().err == (
        f"engine: Docker Engine 26.1 at {default.engine.address} (Docker's default)\n"
    )
    default.answers["GET /version"] = lambda _: (
        200,
        {**VERSION, "Version": "20.10.5", "Components": components},
    )
    assert "is version 20.10.5, too old: install Docker Engine 23" in refused({})


@pytest.mark.parametrize(
    ("variables", "current"),
    [
        ({"DOCKER_HOST": "unix:///proc/absent"}, ""),
        ({"DOCKER_HOST": "ssh://gpu-node"}, ""),
        ({"DOCKER_CONTEXT": "gone"}, ""),
        ({"DOCKER_TLS_VERIFY": "1"}, ""),
        ({}, "gone"),
    ],
)
def test_an_engine_that_was_named_and_cannot_be_had_is_a_warning(
    variables: dict[str, str],
    current: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if current:
        use_context(tmp_path / "home" / ".docker", current)
    with pytest.raises(EngineError) as caught:
        connect()
    assert connect_if_any() is None
    assert capsys.readouterr().err == f"{telling.PROGRAM}: warning: {caught.value}\n"


@pytest.mark.parametrize("content", [None, "{}", '{"currentContext": "default"}'])
def test_an_engine_that_nobody_named_is_missed_by_verbose_alone(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content:
        (tmp_path / "home" / ".docker").mkdir(parents=True)
        (tmp_path / "home" / ".docker" / "config.json").write_text(content)
    assert connect_if_any() is None
    assert capsys.readouterr().err == ""


def test_a_configuration_that_is_broken_is_told_of_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home" / ".docker").mkdir(parents=True)
    (tmp_path / "home" / ".docker" / "config.json").write_text("{")
    assert connect_if_any() is None
    assert capsys.readouterr().err.count("config.json cannot be read") == 1
