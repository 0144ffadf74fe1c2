"""What is wrong with an engine's TLS is one sentence, with what to set."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from docker_contexts import make_context, use_context
from reaching import refused, with_tls
from tcp_engine import Certificates, tcp_engine

pytestmark = pytest.mark.usefixtures("no_docker")


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


@pytest.mark.parametrize("says_so", [True, False])
@pytest.mark.parametrize("current", [True, False])
def test_a_context_without_certificates_is_given_them(
    ours: Certificates, tmp_path: Path, says_so: bool, current: bool
) -> None:
    """The variables about TLS say nothing of a context."""
    if current:
        use_context(tmp_path / "home" / ".docker", "far")
    with tcp_engine(ours.server, says_so=says_so) as server:
        make_context(tmp_path / "home" / ".docker", "far", server.address)
        sentence = refused({} if current else {"DOCKER_CONTEXT": "far"})
    assert (
        f"give the context its certificates (`docker context update far --docker host="
        f"{server.address},ca=ca.pem,cert=cert.pem,key=key.pem`)"
    ) in sentence
    assert "DOCKER_TLS" not in sentence


@pytest.mark.parametrize("certificates", [True, False])
def test_a_context_with_tls_to_a_port_without_it_is_given_none(
    ours: Certificates, tmp_path: Path, certificates: bool
) -> None:
    with tcp_engine() as server:
        given = ours.folder if certificates else None
        make_context(tmp_path / "home" / ".docker", "far", server.address, given, skip=True)
        sentence = refused({"DOCKER_CONTEXT": "far"})
    assert "it does not speak TLS): give the context no certificates" in sentence
    assert f"`docker context update far --docker host={server.address}`" in sentence
    assert "mostly 2376" in sentence
    assert "DOCKER_TLS" not in sentence


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
