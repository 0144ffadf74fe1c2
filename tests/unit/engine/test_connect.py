"""An engine is reached as Docker's own command reaches it, or one sentence says what to do."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from docker.errors import NotFound
from urllib3.util.ssl_ import create_urllib3_context

from docker_contexts import make_context, use_context
from made_up_engine import VERSION, MadeUpEngine, Request, made_up_engine
from rocm_images.engine import client, endpoint, unreachable
from rocm_images.engine.connect import Engine, connect
from rocm_images.errors import EngineError
from tcp_engine import Certificates, plain_certificates, tcp_engine


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("ours") / "certificates")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Of another authority, and for another host."""
    return Certificates(tmp_path_factory.mktemp("theirs") / "certificates", "engine.example.org")


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an engine, a configuration, or anything of Docker."""
    for module in (endpoint, unreachable):
        monkeypatch.setattr(module, "DEFAULT_SOCKET", tmp_path / "docker.sock")
    monkeypatch.setattr(unreachable, "_FOLDERS", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in (*endpoint.CHOOSES, "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def with_tls(address: str, folder: Path, **variables: str) -> dict[str, str]:
    given = {"DOCKER_HOST": address, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(folder)}
    return {**os.environ, **given, **variables}


def works(engine: Engine) -> bool:
    with closing(engine.client()) as asking:
        return asking.containers.list() == [] and engine.answers()


def refused(environment: dict[str, str]) -> str:
    with pytest.raises(EngineError) as caught:
        connect({**os.environ, **environment})
    assert caught.value.exit_code == 3
    sentence = str(caught.value)
    assert len(sentence) < 600
    assert "\n" not in sentence
    return sentence


def test_docker_host_with_tls_works(ours: Certificates, capsys: pytest.CaptureFixture[str]) -> None:
    with tcp_engine(ours.for_clients_alone) as server:
        engine = connect(with_tls(server.address, ours.folder))
        assert works(engine)
        said = f"engine: Docker Engine 26.1 at {server.address} (DOCKER_HOST, TLS)\n"
        assert capsys.readouterr().err == said
        assert engine.environment["DOCKER_CERT_PATH"] == str(ours.folder)


def test_without_a_path_the_certificates_are_in_dockers_folder(
    ours: Certificates, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".docker").symlink_to(ours.folder)
    with tcp_engine(ours.for_clients_alone) as server:
        assert works(connect(with_tls(server.address, ours.folder, DOCKER_CERT_PATH="")))
        environment = with_tls(server.address, ours.folder, DOCKER_CERT_PATH="")
        environment["DOCKER_CONFIG"] = str(tmp_path / "elsewhere")
        assert f"{tmp_path}/elsewhere, without DOCKER_CERT_PATH, has no ca.pem" in refused(
            environment
        )


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


def test_a_certificate_that_is_not_to_be_verified_is_not_and_that_is_said_once(
    ours: Certificates, theirs: Certificates, capfd: pytest.CaptureFixture[str]
) -> None:
    with tcp_engine(theirs.server) as server, warnings.catch_warnings():
        warnings.simplefilter("always")
        given = with_tls(server.address, ours.folder, DOCKER_TLS_VERIFY="", DOCKER_TLS="1")
        assert works(connect(given))
    assert capfd.readouterr().err.splitlines() == [
        f"engine: Docker Engine 26.1 at {server.address} (DOCKER_HOST, TLS, not verified)"
    ]


@pytest.mark.parametrize("client", [True, False])
def test_a_context_brings_its_certificates(
    ours: Certificates, tmp_path: Path, client: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also an authority's alone, where the engine asks for no more."""
    folder = tmp_path / "home" / ".docker"
    with tcp_engine(ours.for_clients_alone if client else ours.server) as server:
        meta = make_context(folder, "far", server.address, ours.folder)
        if not client:
            tls = folder / "contexts" / "tls" / meta.parent.name / "docker"
            (tls / "key.pem").unlink()
        use_context(folder, "far")
        # What asks for TLS of another engine has no part in this one.
        engine = connect(with_tls("", tmp_path / "absent"))
        assert works(engine)
    assert f"at {server.address} (context far, TLS)" in capsys.readouterr().err
    assert engine.environment["DOCKER_CONTEXT"] == "far"
    assert not {"DOCKER_HOST", "DOCKER_TLS_VERIFY"} & engine.environment.keys()


def test_a_context_without_an_authority_trusts_whom_the_system_trusts(
    ours: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home" / ".docker"
    with tcp_engine(ours.for_clients_alone) as server:
        meta = make_context(folder, "far", server.address, ours.folder)
        (folder / "contexts" / "tls" / meta.parent.name / "docker" / "ca.pem").unlink()
        assert "is not good by any that this system trusts" in refused({"DOCKER_CONTEXT": "far"})
        monkeypatch.setenv("SSL_CERT_FILE", str(ours.folder / "ca.pem"))
        assert works(connect({**os.environ, "DOCKER_CONTEXT": "far"}))


@pytest.mark.parametrize("certificates", [True, False])
def test_a_context_that_skips_verification_is_believed(
    ours: Certificates, theirs: Certificates, tmp_path: Path, certificates: bool
) -> None:
    with tcp_engine(theirs.server) as server:
        given = ours.folder if certificates else None
        make_context(tmp_path / "home" / ".docker", "far", server.address, given, skip=True)
        assert works(connect({**os.environ, "DOCKER_CONTEXT": "far"}))
        make_context(tmp_path / "home" / ".docker", "strict", server.address, ours.folder)
        assert "its certificate is not good" in refused({"DOCKER_CONTEXT": "strict"})


@pytest.mark.parametrize("variables", [{}, {"DOCKER_TLS_VERIFY": ""}])
@pytest.mark.parametrize("says_so", [True, False])
def test_a_port_with_tls_asks_for_the_variables(
    ours: Certificates, variables: dict[str, str], says_so: bool
) -> None:
    with tcp_engine(ours.server, says_so=says_so) as server:
        given = {"DOCKER_CERT_PATH": str(ours.folder), **variables}
        sentence = refused({"DOCKER_HOST": server.address, **given})
    assert "set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH to the folder of ca.pem" in sentence
    assert ("(DOCKER_HOST; it asks for TLS)" in sentence) is says_so
    assert "install" not in sentence


def test_tls_to_a_port_without_it_is_said(ours: Certificates) -> None:
    with tcp_engine() as server:
        sentence = refused(with_tls(server.address, ours.folder))
    assert "it does not speak TLS): unset DOCKER_TLS_VERIFY" in sentence


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_certificates_is_named(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "client"
    if there:
        folder.mkdir()
    sentence = refused(with_tls("tcp://127.0.0.1:9", folder))
    assert sentence.startswith(f"DOCKER_TLS_VERIFY asks for TLS, and DOCKER_CERT_PATH, {folder},")
    assert "ca.pem, cert.pem and key.pem (a job of GitLab shares /certs/client" in sentence


def test_another_authority_is_named_with_its_file(ours: Certificates, theirs: Certificates) -> None:
    with tcp_engine(theirs.server) as server:
        sentence = refused(with_tls(server.address, ours.folder))
    assert f"its certificate is not good by {ours.folder}/ca.pem: " in sentence
    assert f"put the engine's own ca.pem into {ours.folder}" in sentence


def test_a_certificate_for_another_host_is_no_good(theirs: Certificates) -> None:
    with tcp_engine(theirs.server) as server:
        sentence = refused(with_tls(server.address, theirs.folder))
    assert "IP address mismatch, certificate is not valid for '127.0.0.1'" in sentence


def test_certificates_of_dockers_documentation_are_good_as_they_are_to_docker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They lack the extensions that Python asks for from 3.13 on, whatever runs this."""

    def strict(**given: Any) -> ssl.SSLContext:
        context = create_urllib3_context(**given)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    documented = plain_certificates(tmp_path / "certificates")
    with tcp_engine(documented) as server:
        refusing = strict()
        refusing.load_verify_locations(tmp_path / "certificates" / "ca.pem")
        with (
            closing(socket.create_connection(("127.0.0.1", server.server_port))) as plain,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            refusing.wrap_socket(plain, server_hostname="127.0.0.1")
        monkeypatch.setattr(client, "create_urllib3_context", strict)
        assert works(connect(with_tls(server.address, tmp_path / "certificates")))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("which", ["none", "of another authority"])
def test_an_engine_that_asks_for_a_clients_certificate_is_understood(
    ours: Certificates,
    theirs: Certificates,
    tmp_path: Path,
    version: ssl.TLSVersion,
    which: str,
) -> None:
    folder = tmp_path / "client"
    folder.mkdir()
    (folder / "ca.pem").symlink_to(ours.folder / "ca.pem")
    if which != "none":
        for name in ("cert.pem", "key.pem"):
            (folder / name).symlink_to(theirs.folder / name)
    ours.for_clients_alone.maximum_version = version
    with tcp_engine(ours.for_clients_alone) as server:
        sentence = refused(with_tls(server.address, folder))
    assert f"put cert.pem and key.pem, which the engine's CA signed for clients, into {folder}" in (
        sentence
    )


@pytest.mark.parametrize("name", ["ca.pem", "cert.pem", "key.pem"])
@pytest.mark.parametrize("content", ["", "no PEM\n", None])
def test_files_that_are_no_certificates_are_named_with_their_folder(
    ours: Certificates, tmp_path: Path, name: str, content: str | None
) -> None:
    folder = tmp_path / "client"
    folder.mkdir()
    for each in ("ca.pem", "cert.pem", "key.pem"):
        (folder / each).write_bytes((ours.folder / each).read_bytes())
    (folder / name).unlink()
    if content is None:
        (folder / name).mkdir()
    else:
        (folder / name).write_text(content)
    with tcp_engine(ours.for_clients_alone) as server:
        assert str(folder) in refused(with_tls(server.address, folder))


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


@pytest.mark.parametrize("content", ["[]", "7", '{"proxies": []}', '{"auths": {"a": 7}}'])
def test_a_configuration_that_the_sdk_cannot_use_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    with tcp_engine() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_CONFIG", str(tmp_path))
        assert str(path) in refused({"DOCKER_HOST": server.address})


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
