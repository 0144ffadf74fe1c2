"""Which engine is meant, by variables, contexts and sockets, as Docker's own command chooses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rocm_images import telling
from rocm_images.engine.contexts import (
    DEFAULT,
    configuration_folder,
    context_of,
    current_context,
    is_there,
)
from rocm_images.errors import EngineError

if TYPE_CHECKING:
    from docker.tls import TLSConfig

DEFAULT_SOCKET = Path("/var/run/docker.sock")
# Where docker looks with TLS and no host.
_DEFAULT_WITH_TLS = "tcp://localhost:2376"
# Also with TLS.
_DEFAULT_PORT = 2375
CHOOSES = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
"""The variables by which Docker's programs choose an engine."""
_FILES = "ca.pem, cert.pem and key.pem"


@dataclass(frozen=True)
class Tls:
    """The certificates with which an engine is spoken to."""

    folder: Path
    """Holds ca.pem, cert.pem and key.pem, or some of them."""
    verified: bool = True
    """Whether the engine's own certificate counts."""

    @property
    def authority(self) -> Path | None:
        """The CA whose engines are trusted; None: those that the system trusts."""
        path = self.folder / "ca.pem"
        return path if is_there(path) else None

    def settings(self) -> TLSConfig:
        """The same as the SDK takes it."""
        from docker.tls import TLSConfig

        cert, key = self.folder / "cert.pem", self.folder / "key.pem"
        client = (str(cert), str(key)) if is_there(cert) and is_there(key) else None
        return TLSConfig(client, str(self.authority) if self.authority else None, self.verified)


@dataclass(frozen=True)
class Endpoint:
    """Where an engine is reached."""

    address: str
    source: str
    """What named it, in words."""
    tls: Tls | None
    variables: Mapping[str, str]
    """By which Docker's own programs reach the same."""

    @property
    def words(self) -> str:
        """What named it, and how safe it is."""
        if self.tls is None:
            return self.source
        return f"{self.source}, {'TLS' if self.tls.verified else 'TLS, not verified'}"

    def __str__(self) -> str:
        return f"{self.address} ({self.words})"

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """An environment in which Docker's own programs reach this engine and no other."""
        kept = {name: value for name, value in given.items() if name not in CHOOSES}
        return {**kept, **self.variables}


def asks_for_tls(environment: Mapping[str, str]) -> bool:
    """Whether variables ask for TLS; any value does, as with docker: "0", too."""
    return bool(environment.get("DOCKER_TLS_VERIFY") or environment.get("DOCKER_TLS"))


def _tls_variable(environment: Mapping[str, str]) -> str:
    """The variable that asks for TLS, where one does."""
    return "DOCKER_TLS_VERIFY" if environment.get("DOCKER_TLS_VERIFY") else "DOCKER_TLS"


def is_expected(environment: Mapping[str, str]) -> bool:
    """Whether anything on this machine names an engine, or is one's socket."""
    return (
        any(environment.get(name) for name in CHOOSES)
        or is_there(configuration_folder(environment) / "config.json")
        or is_there(DEFAULT_SOCKET)
        or is_there(rootless_socket(environment))
    )


def is_named(environment: Mapping[str, str]) -> bool:
    """Whether somebody chose an engine, so that it matters to them whether it can be had."""
    if any(environment.get(name) for name in ("DOCKER_HOST", "DOCKER_CONTEXT")):
        return True
    path = configuration_folder(environment) / "config.json"
    chosen = current_context(path, quietly=True)
    return asks_for_tls(environment) or chosen not in ("", DEFAULT)


def endpoint_of(environment: Mapping[str, str]) -> Endpoint:
    """The engine that `environment` means.

    Raises:
        EngineError: what it names does not exist, or cannot be used.
    """
    if address := environment.get("DOCKER_HOST", "").strip():
        return _by_variables(address, "DOCKER_HOST", environment)
    folder = configuration_folder(environment)
    name, source = environment.get("DOCKER_CONTEXT", ""), "DOCKER_CONTEXT"
    if not name:
        path = folder / "config.json"
        name, source = current_context(path), str(path)
    if name and name != DEFAULT:
        return _by_context(name, source, folder)
    if asks_for_tls(environment):
        return _by_variables(_DEFAULT_WITH_TLS, _tls_variable(environment), environment)
    rootless = rootless_socket(environment)
    path, source = DEFAULT_SOCKET, "Docker's default"
    if is_there(rootless) and not is_there(DEFAULT_SOCKET):
        path, source = rootless, "the rootless engine's socket"
    variables = {"DOCKER_HOST": f"unix://{path}"}
    return Endpoint(f"unix://{path}", source, None, MappingProxyType(variables))


def rootless_socket(environment: Mapping[str, str]) -> Path:
    """Where the user's own engine has its socket.

    https://docs.docker.com/engine/security/rootless/
    """
    return Path(environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}", "docker.sock")


def _by_variables(address: str, source: str, environment: Mapping[str, str]) -> Endpoint:
    if address == "unix://":
        address += str(DEFAULT_SOCKET)
    if "://" not in address and not address.startswith("/"):
        address = f"tcp://{address}"
    address = _completed(address)
    _check_address(address, source)
    variables = {"DOCKER_HOST": address}
    if not asks_for_tls(environment) or not address.startswith("tcp://"):
        return Endpoint(address, source, None, MappingProxyType(variables))
    named = environment.get("DOCKER_CERT_PATH")
    folder = Path(named) if named else configuration_folder(environment)
    variable = _tls_variable(environment)
    if not is_there(folder / "ca.pem"):
        where = f"DOCKER_CERT_PATH, {folder}," if named else f"{folder}, without DOCKER_CERT_PATH,"
        raise EngineError(
            f"{variable} asks for TLS, and {where} has no ca.pem: set DOCKER_CERT_PATH to the "
            f"folder of {_FILES} (a job of GitLab shares /certs/client with its service), or unset "
            f"{variable} where the engine has no TLS"
        )
    variables |= {variable: "1", "DOCKER_CERT_PATH": str(folder)}
    tls = Tls(folder, verified=variable == "DOCKER_TLS_VERIFY")
    return Endpoint(address, source, tls, MappingProxyType(variables))


def _by_context(name: str, source: str, folder: Path) -> Endpoint:
    context = context_of(name, source, folder)
    said = f"context {telling.quoted(name)}"
    _check_address(context.address, said)
    tls = None
    if context.address.startswith("tcp://") and (
        not context.verified or is_there(context.certificates)
    ):
        tls = Tls(context.certificates, context.verified)
    # Its name rather than its address: the certificates come with it.
    return Endpoint(context.address, said, tls, MappingProxyType({"DOCKER_CONTEXT": name}))


def _completed(address: str) -> str:
    """A TCP address with the host and the port that docker takes where a variable has none.

    https://github.com/docker/cli/blob/master/opts/hosts.go; a context's is taken as it is.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return address
    if parts.scheme != "tcp" or (parts.path and not parts.netloc):
        return address
    if parts.hostname and port is not None:
        return address
    host = parts.hostname or "localhost"
    host = f"[{host}]" if ":" in host else host
    return f"tcp://{host}:{_DEFAULT_PORT if port is None else port}{parts.path}"


def _check_address(address: str, source: str) -> None:
    names = f"{source} names {telling.quoted(address)}"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme == "ssh" and parts.hostname:
        there = f"{parts.username}@{parts.hostname}" if parts.username else parts.hostname
        words = ["ssh", "-nNT", *(["-p", str(port)] if port else []), "-L"]
        socket = f"$HOME/docker.sock:{parts.path or DEFAULT_SOCKET}"
        raise EngineError(
            f"{names}, and this program does not go through ssh: run it on that machine, or have "
            f"ssh bring the engine's socket here (`{' '.join(words)} {socket} {there} &`) and set "
            "DOCKER_HOST=unix://$HOME/docker.sock"
        )
    path = parts.scheme == "unix" and not parts.netloc and parts.path
    if not (path or (parts.scheme == "tcp" and parts.hostname and port)):
        raise EngineError(
            f"{names}, which is no address of an engine: that is unix:///PATH/docker.sock or "
            "tcp://HOST:PORT, with 2375 mostly, and 2376 with TLS"
        )
