"""The credentials of registries: Docker's own, from its configuration and its helpers."""

from __future__ import annotations

import base64
import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rocm_images.errors import RegistryError

# The name that it has in Docker's configuration.
_DOCKER_HUB = "https://index.docker.io/v1/"
_BELIEVED = (AttributeError, LookupError, TypeError, ValueError, RecursionError)


class Credentials(NamedTuple):
    """What lets somebody into a registry."""

    username: str
    password: str


def credentials_of(host: str) -> Credentials | None:
    """Those of `docker login` for HOST or HOST:PORT; None where there are none.

    Raises:
        RegistryError: they cannot be had, or are of a kind that this program cannot use.
    """
    from docker.errors import DockerException

    from rocm_images.engine.client import Logins

    try:
        # A helper that is missing is said below. The registry's threads share these filters.
        warnings.filterwarnings("ignore", "docker-credential-.* not installed")
        found = Logins.load_config(None, None).resolve_authconfig(host) or {}
        # A helper's and those of the file itself differ in case.
        known = {str(name).lower(): value for name, value in found.items()}
    # The SDK believes what the file says: what it must not say meets it as any of the others.
    except (DockerException, *_BELIEVED) as error:
        raise RegistryError(
            f"Docker's credentials for {host} cannot be had ({error}): mend the helper that "
            "Docker's config.json names, or the file itself, or `docker login` without one"
        ) from None
    if known.get("identitytoken"):
        raise RegistryError(
            f"Docker has an identity token for {host}, which only Docker can use: `docker login "
            f"{host}` with a password or an access token"
        )
    if not known.get("username"):
        return None
    return Credentials(str(known["username"]), str(known.get("password") or ""))


@contextmanager
def only_for(hosts: Sequence[str], environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """An environment in which programs find Docker's credentials for these registries alone.

    Raises:
        RegistryError: see credentials_of.
    """
    auths = {}
    for host in hosts:
        if found := credentials_of(host):
            word = base64.b64encode(f"{found.username}:{found.password}".encode()).decode()
            auths[_DOCKER_HUB if host == "docker.io" else host] = {"auth": word}
    with tempfile.TemporaryDirectory(prefix="rocm-images-docker-") as folder:
        path = Path(folder, "config.json")
        path.touch(0o600)
        path.write_text(json.dumps({"auths": auths}))
        yield {**environment, "DOCKER_CONFIG": folder}
