"""What build steps need on a company's network: a CA bundle, pip's configuration, proxies.

Files reach the steps as BuildKit secrets, so nothing of them is in a layer, a label or the cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rocm_images import telling
from rocm_images.errors import InputError
from rocm_images.foreign import content_of

# The variables by which OpenSSL, requests and pip are told of a CA bundle, in the order asked.
CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
# BuildKit knows these build arguments by itself and keeps them out of the image's history.
# https://docs.docker.com/build/building/variables/#pre-defined-build-arguments
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")


def secrets_for(
    ca_bundle: Path | None, pip_config: Path | None, environment: Mapping[str, str]
) -> dict[str, Path]:
    """The files that build steps get as secrets, by the secret's id.

    Raises:
        InputError: a file cannot be read, or the CA bundle holds no certificate.
    """
    secrets: dict[str, Path] = {}
    trusted = ca_bundle_for(ca_bundle, environment)
    if trusted is not None:
        secrets["ca-bundle"] = trusted
    if pip_config is not None:
        _text(pip_config, "--pip-config")
        secrets["pip-config"] = pip_config
    return secrets


def ca_bundle_for(ca_bundle: Path | None, environment: Mapping[str, str]) -> Path | None:
    """The CA bundle that was named, or that the environment names; None: the system's.

    Raises:
        InputError: it cannot be read, or holds no certificate.
    """
    named, source = ca_bundle, "--ca-bundle"
    if named is None:
        for variable in CA_VARIABLES:
            if environment.get(variable):
                named, source = Path(environment[variable]), variable
                break
    if named is not None and "BEGIN CERTIFICATE" not in _text(named, source):
        raise InputError(f"{source}: {named} holds no certificate (PEM): name a CA bundle")
    if named is not None:
        telling.decided(f"certificates: {named}, by {source}")
    return named


def proxy_arguments(environment: Mapping[str, str]) -> list[str]:
    """Names of the proxy variables that are set, in either case; buildx takes their values."""
    names = [name for upper in PROXY_VARIABLES for name in (upper, upper.lower())]
    return [name for name in names if environment.get(name)]


def _text(path: Path, source: str) -> str:
    try:
        return content_of(path).decode(errors="replace")
    except OSError as error:
        raise InputError(f"{source}: cannot read {path} ({error.strerror})") from None
    except ValueError as error:
        raise InputError(f"{source}: {path} cannot be what is meant: {error}") from None
