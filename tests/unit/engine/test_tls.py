"""An engine with TLS is reached as Docker's own command reaches it, by variables and contexts."""

from __future__ import annotations

import os
import socket
import ssl
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from urllib3.util.ssl_ import create_urllib3_context

from docker_contexts import make_context, use_context
from reaching import refused, with_tls, works
from rocm_images.engine import client
from rocm_images.engine.connect import connect
from tcp_engine import Certificates, plain_certificates, tcp_engine

pytestmark = pytest.mark.usefixtures("no_docker")


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


def test_a_certificate_that_is_not_to_be_verified_is_not_and_that_is_said_once(
    ours: Certificates, theirs: Certificates, capfd: pytest.CaptureFixture[str]
) -> None:
    with tcp_engine(theirs.server) as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        given = with_tls(server.address, ours.folder, DOCKER_TLS_VERIFY="", DOCKER_TLS="1")
        assert works(connect(given))
    assert caught == []
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
