"""Docker's folder, and the contexts in it: engines that `docker context` gave names.

The SDK's reading differs: where the folder has no config.json it goes on to the home's, a context
that does not exist is none to it, and certificates without a client's are no TLS.
https://docs.docker.com/engine/manage-resources/contexts/
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rocm_images import telling
from rocm_images.errors import EngineError
from rocm_images.foreign import document_of

DEFAULT = "default"
"""The context that no folder holds."""


@dataclass(frozen=True)
class Context:
    """What a context says of its engine."""

    address: str
    certificates: Path
    """A folder, which may not be there."""
    verified: bool
    """Whether the engine's own certificate counts."""


def configuration_folder(environment: Mapping[str, str]) -> Path:
    """The folder of Docker's config.json, contexts and plugins."""
    # Path.home raises where a container's user has no entry in passwd.
    home = environment.get("HOME") or os.path.expanduser("~")  # noqa: PTH111
    return Path(environment.get("DOCKER_CONFIG") or f"{home}/.docker")


def is_there(path: Path) -> bool:
    """Whether there is a file, as far as this user can see."""
    # Path.exists raises where a folder above is another user's, as after `sudo -u`.
    return os.access(path, os.F_OK)


def current_context(path: Path, *, quietly: bool = False) -> str:
    """The context that a config.json names; "" for none, with a warning where it is broken."""
    try:
        name = document_of(path).get("currentContext")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, AttributeError) as error:
        # docker warns as well, and takes its default.
        why = f"{telling.PROGRAM}: warning: {_unreadable(path, error)}: no context of it"
        if not quietly:
            telling.step(why)
        return ""
    return name if isinstance(name, str) else ""


def context_of(name: str, source: str, folder: Path) -> Context:
    """The context of a name in Docker's folder.

    Args:
        source: what gave the name, in words.

    Raises:
        EngineError: there is none, or it cannot be read.
    """
    shown = telling.quoted(name)
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
    meta = folder / "contexts" / "meta" / digest / "meta.json"
    instead = "choose another by `docker context use`, DOCKER_CONTEXT or DOCKER_HOST"
    try:
        endpoint = document_of(meta)["Endpoints"]["docker"]
        address, skips = endpoint["Host"], bool(endpoint.get("SkipTLSVerify"))
        if not isinstance(address, str) or not address:
            raise ValueError("it names no address")
    except FileNotFoundError:
        raise EngineError(
            f"{source} names the docker context {shown}, which does not exist in {folder}/contexts "
            f"(`docker context ls` lists those that do): {instead}"
        ) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise EngineError(
            f"the docker context {shown}, which {source} names: {_unreadable(meta, error)}: make "
            f"it again by `docker context rm` and `docker context create`, or {instead}"
        ) from None
    certificates = folder / "contexts" / "tls" / digest / "docker"
    return Context(address, certificates, not skips)


def _unreadable(path: Path, error: Exception) -> str:
    why = error.strerror if isinstance(error, OSError) else telling.quoted(error)
    return f"{path} cannot be read ({why or type(error).__name__})"
