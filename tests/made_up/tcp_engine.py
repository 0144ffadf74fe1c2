"""A made-up engine on a port of loopback, with TLS or without."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from made_up_engine import VERSION, Answer, Request
from serving import serving

_HANDSHAKE = b"\x16"
# What Go's server says, and so dockerd.
_NO_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


class TcpEngine(ThreadingHTTPServer):
    """It knows its version, and its containers: none."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, tls: ssl.SSLContext | None, says_so: bool) -> None:
        self.answers: dict[str, Answer] = {
            "GET /_ping": lambda _: (200, "OK"),
            "GET /version": lambda _: (200, VERSION),
            "GET /containers/json": lambda _: (200, []),
        }
        self.asked: list[str] = []
        self._tls, self._says_so = tls, says_so
        super().__init__(("127.0.0.1", 0), Request)

    @property
    def address(self) -> str:
        """As DOCKER_HOST has it."""
        return f"tcp://127.0.0.1:{self.server_port}"

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer one connection."""
        if self._tls is None:
            super().finish_request(request, client_address)
        elif self._says_so and request.recv(1, socket.MSG_PEEK) != _HANDSHAKE:
            request.recv(65536)
            request.sendall(_NO_TLS)
        else:
            # The end of a refused handshake is read by whoever was refused.
            with self._tls.wrap_socket(request, server_side=True) as encrypted:
                super().finish_request(encrypted, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever was refused or hung up did so on purpose."""


@contextmanager
def tcp_engine(tls: ssl.SSLContext | None = None, *, says_so: bool = True) -> Iterator[TcpEngine]:
    """An engine that answers; with `tls` it says, or not, that it is no HTTP that it waits for."""
    with serving(TcpEngine(tls, says_so)) as server:
        yield server


class Certificates:
    """One authority, its server, and a folder of what a client of it has."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        client = authority.issue_cert("client@example.org")
        client.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
        client.private_key_pem.write_to_path(str(folder / "key.pem"))
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(self.server)
        authority.configure_trust(self.server)
        self.for_clients_alone = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(self.for_clients_alone)
        authority.configure_trust(self.for_clients_alone)
        self.for_clients_alone.verify_mode = ssl.CERT_REQUIRED


def plain_certificates(folder: Path) -> ssl.SSLContext:
    """A server's, with its CA in the folder: as Docker's documentation has openssl make them."""
    folder.mkdir()
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in ("ca", "server")]
    now = datetime.datetime.now(datetime.timezone.utc)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    for key, name, extension in zip(
        keys, names, (x509.BasicConstraints(ca=True, path_length=None), host), strict=True
    ):
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(names[0])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(extension, critical=False)
            .sign(keys[0], hashes.SHA256())
        )
        path = folder / ("ca.pem" if name is names[0] else "server.pem")
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = keys[1].private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "server-key.pem").write_bytes(secret)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
    return server
