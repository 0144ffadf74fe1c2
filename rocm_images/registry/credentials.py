"""The credentials of registries, and what other programs are handed of them: their own alone."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rocm_images.engine.logins import Credentials, credentials_of, name_of


@contextmanager
def only_for(hosts: Sequence[str], environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """An environment in which programs find Docker's credentials for these registries alone.

    Raises:
        RegistryError: see credentials_of.
    """
    auths = {name_of(host): _entry(found) for host in hosts if (found := credentials_of(host))}
    with tempfile.TemporaryDirectory(prefix="rocm-images-docker-") as folder:
        path = Path(folder, "config.json")
        path.touch(0o600)
        path.write_text(json.dumps({"auths": auths}))
        yield {**environment, "DOCKER_CONFIG": folder}


def _entry(known: Credentials) -> dict[str, str]:
    """As config.json has them."""
    entry = {"identitytoken": known.identity_token, "registrytoken": known.registry_token}
    if known.username:
        word = base64.b64encode(f"{known.username}:{known.password}".encode()).decode()
        entry["auth"] = word
    return {name: text for name, text in entry.items() if text}
