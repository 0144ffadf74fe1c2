"""Why no engine answers where one was expected, and what to do: what is there is not to install."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import socket
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rocm_images import telling
from rocm_images.engine.contexts import is_there
from rocm_images.engine.endpoint import DEFAULT_SOCKET, Endpoint, rootless_socket
from rocm_images.errors import EngineError

if TYPE_CHECKING:
    import ssl

INSTALL = "install Docker Engine 23 or later with buildx (https://docs.docker.com/engine/install/)"
_REHEARSE = f"to try the pipeline without one, as root on Debian or Ubuntu: {telling.REHEARSE}"
_FOLDERS = "/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin"
"""Where dockerd is, though it may not be on a user's PATH."""
_NO_TLS = ("wrong version number", "http request", "record layer failure")
"""What OpenSSL says, in its various versions, of an answer that is no TLS."""
_TLS = "set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH to the folder of ca.pem, cert.pem and key.pem"
_CERTIFICATES = ",ca=ca.pem,cert=cert.pem,key=key.pem"
"""As `docker context update` takes them, which leaves none of those that were there."""


def check_socket(endpoint: Endpoint, environment: Mapping[str, str]) -> None:
    """Try a unix socket by itself: the SDK's own answer hides what is wrong with it.

    Raises:
        EngineError: nobody listens there, or not to this user.
    """
    if not endpoint.address.startswith("unix://"):
        return
    path = endpoint.address.removeprefix("unix://")
    try:
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.connect(path)
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else None
        if number in (errno.ENOENT, errno.ENOTDIR):
            why, advice = "nothing listens there", _where_none_is(environment)
        elif number == errno.ECONNREFUSED and not Path(path).is_socket():
            # What Docker makes of a volume whose source is not there.
            why = "it is a folder" if Path(path).is_dir() else "it is no socket"
            advice = "remove it and start the engine, or in a container mount its host's socket"
        elif number == errno.ECONNREFUSED:
            why, advice = "the connection was refused", _start(path, environment)
        elif number == errno.EACCES:
            why, advice = "permission denied", _let_in(path, environment)
        else:
            why, advice = str(error), "see whether that is the engine's socket"
        raise no_answer(endpoint, why, advice) from None


def no_answer(endpoint: Endpoint, why: object, advice: str) -> EngineError:
    """The error with its sentence."""
    reason = f"{endpoint.words}; {telling.quoted(why)}"
    return EngineError(f"no Docker Engine answers at {endpoint.address} ({reason}): {advice}")


def failure(endpoint: Endpoint, error: BaseException) -> EngineError:
    """The error for what the SDK raised when an engine was first asked."""
    import ssl

    from rocm_images.engine.client import goes_through_proxy

    chain = _chain(error)
    said = getattr(error, "explanation", None) or chain[-1]
    host = urlsplit(endpoint.address).hostname
    tcp, tls = endpoint.address.startswith("tcp://"), endpoint.tls
    if tcp and goes_through_proxy(endpoint.address, tls):
        advice = f"it was asked through a proxy, by HTTP_PROXY or HTTPS_PROXY: put {host} into"
        return no_answer(endpoint, said, f"{advice} NO_PROXY, or have the proxy reach it")
    for one in chain:
        if isinstance(one, ssl.SSLError):
            return no_answer(endpoint, *_tls_failed(endpoint, one))
        if isinstance(one, socket.gaierror):
            why = f"{host} is not known: {one.strerror}"
            return no_answer(endpoint, why, f"name another host: {_elsewhere(endpoint)}")
        if isinstance(one, ConnectionRefusedError):
            why = "the connection was refused"
            return no_answer(endpoint, why, f"start it there, or {_elsewhere(endpoint)}")
    if tcp and tls is None and "HTTPS server" in str(said):
        return no_answer(endpoint, "it asks for TLS", _with_tls(endpoint))
    if tcp and any(isinstance(one, ConnectionResetError) for one in chain):
        # Not every server says that it asks for TLS, or for a client's certificate.
        advice = _client_certificate(endpoint) if tls else f"if it has TLS, {_with_tls(endpoint)}"
        return no_answer(endpoint, said, advice)
    return no_answer(endpoint, said, f"see whether it is one, or {_elsewhere(endpoint)}")


def _chain(error: BaseException) -> Sequence[BaseException]:
    """The error and what led to it, which requests and urllib3 put one into another."""
    found = [error]
    for one in found:
        led = (one.__cause__, one.__context__, *one.args)
        found += [each for each in led if isinstance(each, BaseException) and each not in found]
    return found


def _tls_failed(endpoint: Endpoint, error: ssl.SSLError) -> tuple[str, str]:
    """What is wrong, and what to do."""
    import ssl

    folder = endpoint.tls.folder if endpoint.tls else Path()
    if isinstance(error, ssl.SSLCertVerificationError):
        by = endpoint.tls.authority if endpoint.tls else None
        by_whom = f"by {by}" if by else "by any that this system trusts"
        return (
            f"its certificate is not good {by_whom}: {error.verify_message}",
            f"put the engine's own ca.pem into {folder}, or {_elsewhere(endpoint)}",
        )
    reason = error.reason or str(error)
    # TLS 1.3 asks for it once the client has gone on, so that the end may be all that is heard.
    if "ALERT" in reason or isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return f"it refuses: {reason}", _client_certificate(endpoint)
    if any(each in str(error).lower() for each in _NO_TLS):
        return "it does not speak TLS", _without_tls(endpoint)
    return f"TLS fails: {reason}", f"see whether {folder} has the engine's files, as PEM"


def _with_tls(endpoint: Endpoint) -> str:
    return _updated_context(endpoint, _CERTIFICATES) if _is_context(endpoint) else _TLS


def _without_tls(endpoint: Endpoint) -> str:
    if _is_context(endpoint):
        return f"{_updated_context(endpoint, '')}, or its port with TLS, mostly 2376"
    unset = "unset DOCKER_TLS_VERIFY and DOCKER_TLS, or name its port with TLS, mostly 2376: "
    return unset + _elsewhere(endpoint)


def _is_context(endpoint: Endpoint) -> bool:
    """Whether a context chose it, to which the variables about TLS say nothing."""
    return "DOCKER_CONTEXT" in endpoint.variables


def _updated_context(endpoint: Endpoint, certificates: str) -> str:
    """The advice to give a context certificates, or none."""
    name = shlex.quote(telling.quoted(endpoint.variables["DOCKER_CONTEXT"]))
    docker = shlex.quote(f"host={endpoint.address}{certificates}")
    return (
        f"give the context {'its' if certificates else 'no'} certificates "
        f"(`docker context update {name} --docker {docker}`)"
    )


def _client_certificate(endpoint: Endpoint) -> str:
    folder = endpoint.tls.folder if endpoint.tls else Path()
    return f"put cert.pem and key.pem, which the engine's CA signed for clients, into {folder}"


def _elsewhere(endpoint: Endpoint) -> str:
    return f"set DOCKER_HOST to another than {endpoint.address}"


def _where_none_is(environment: Mapping[str, str]) -> str:
    there = [path for path in (DEFAULT_SOCKET, rootless_socket(environment)) if is_there(path)]
    if there:
        return f"start it, or use the one at DOCKER_HOST=unix://{there[0]}"
    path = os.pathsep.join([environment.get("PATH", ""), _FOLDERS])
    if shutil.which("dockerd", path=path):
        return "dockerd is installed: start it (`sudo systemctl start docker`)"
    return f"start it, or {INSTALL}; {_REHEARSE}"


def _start(path: str, environment: Mapping[str, str]) -> str:
    rootless = rootless_socket(environment)
    if Path(path) == rootless:
        return "its socket is left: start it (`systemctl --user start docker`)"
    own = f", or use {_of_ones_own(rootless)}" if is_there(rootless) else ""
    return f"its socket is left: start it (`sudo systemctl start docker`){own}"


def _let_in(path: str, environment: Mapping[str, str]) -> str:
    rootless = rootless_socket(environment)
    own = "a rootless engine of your own (https://docs.docker.com/engine/security/rootless/)"
    if is_there(rootless) and Path(path) != rootless:
        own = _of_ones_own(rootless)
    folder = Path(path).parent
    if _is_its_owners_alone(folder):
        # No group helps, as with the engine of a rehearsal.
        return f"only its owner may enter {folder}: do this as root, or use {own}"
    return (
        f"have root put you into the group that {path} belongs to (`sudo usermod -aG docker "
        f"$USER`, then log in again), or use {own}"
    )


def _is_its_owners_alone(folder: Path) -> bool:
    try:
        return not folder.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH)
    except OSError:
        return False


def _of_ones_own(rootless: Path) -> str:
    return f"your rootless engine's DOCKER_HOST=unix://{rootless}"
