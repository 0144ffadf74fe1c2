"""Through a proxy an engine is spoken to by TLS as it is without one."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest

from docker_contexts import make_context
from reaching import refused, with_tls, works
from rocm_images.engine.connect import connect
from tcp_engine import Certificates, tcp_engine
from tunnel import tunnel_to

pytestmark = pytest.mark.usefixtures("no_docker")
ENGINE = "tcp://engine.example.org:2376"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_certificate_that_is_not_verified_is_said_once(
    ours: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    scheme: str,
) -> None:
    with tcp_engine(ours.server) as server, tunnel_to(server.server_port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", scheme + proxy.address)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            given = with_tls(ENGINE, ours.folder, DOCKER_TLS_VERIFY="", DOCKER_TLS="1")
            assert works(connect(given))
    assert caught == []
    assert set(proxy.asked) == {"engine.example.org:2376"}
    assert capfd.readouterr().err.splitlines() == [
        f"engine: Docker Engine 26.1 at {ENGINE} (DOCKER_HOST, TLS, not verified)"
    ]


def test_a_context_without_an_authority_trusts_whom_the_system_trusts(
    theirs: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home" / ".docker"
    meta = make_context(folder, "far", ENGINE, theirs.folder)
    (folder / "contexts" / "tls" / meta.parent.name / "docker" / "ca.pem").unlink()
    with (
        tcp_engine(theirs.for_clients_alone) as server,
        tunnel_to(server.server_port) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        assert "asked through a proxy" in refused({"DOCKER_CONTEXT": "far"})
        monkeypatch.setenv("SSL_CERT_FILE", str(theirs.folder / "ca.pem"))
        assert works(connect({**os.environ, "DOCKER_CONTEXT": "far"}))
