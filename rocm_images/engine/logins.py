"""What `docker login` left on this machine: a registry's credentials, in config.json or a helper.

Docker's SDK reads the same, but falls over one entry that is wrong, of whichever registry it is,
waits for helpers without end, and takes ~/.docker where DOCKER_CONFIG names an empty folder.
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rocm_images.engine.contexts import configuration_folder
from rocm_images.errors import RegistryError
from rocm_images.foreign import content_of, parsed
from rocm_images.references import DOCKER_HUB
from rocm_images.streams import GivenUp
from rocm_images.supervisor import supervisor
from rocm_images.telling import quoted

HELPER_SECONDS = 30.0
_PROGRAM = "docker-credential-"
_DOCKER_HUBS_NAME = "https://index.docker.io/v1/"
# The user that a helper names where what it keeps is an identity token.
# https://github.com/docker/docker-credential-helpers
_NO_USER = "<token>"
_NONE_THERE = "credentials not found"
# https://github.com/docker/docker-credential-helpers/blob/master/client/client.go
_KEPT_FROM = "error getting credentials"
_TEXTS = ("username", "password", "identitytoken", "registrytoken")


@dataclass(frozen=True)
class Credentials:
    """What lets somebody into a registry; a part that Docker does not have is empty."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    """Whoever gives out tokens takes it in the place of a password (OAuth2's refresh token)."""
    registry_token: str = field(default="", repr=False)
    """What the registry itself is shown."""
    place: str = field(default="", compare=False)
    """config.json and the entry in it, for sentences."""


def name_of(host: str) -> str:
    """The name that Docker's files and helpers have for a registry: its HOST or HOST:PORT."""
    return _DOCKER_HUBS_NAME if _bare(host) == DOCKER_HUB else host


def credentials_of(host: str) -> Credentials | None:
    """Those of `docker login` for HOST or HOST:PORT; None where there are none.

    Raises:
        RegistryError: they cannot be had; the sentence names config.json and the entry.
        Stopped: the run is being stopped.
    """
    path = _path()
    document = _document(path, host)
    helpers = _table(path, document, "credHelpers", host)
    key, helper = _entry(helpers, host) or ("", document.get("credsStore"))
    if helper:
        entry = f"{path}: credHelpers {key!r}" if key else f"{path}: credsStore"
        found = _kept_by(helper, host, entry)
        if found:
            return found
    key, kept = _entry(_table(path, document, "auths", host), host) or ("", None)
    return _written(kept, host, f"{path}: auths {key!r}") if kept is not None else None


def kept_from(said: str, host: str) -> str | None:
    """Why buildx, or docker, had no credentials for HOST, where it `said` that; None where not."""
    if _KEPT_FROM not in said:
        return None
    try:
        credentials_of(host)
    except RegistryError as error:
        return str(error)
    return f"{said}: see credsStore and credHelpers in {_path()}"


def proxies_of_containers() -> dict[str, object]:
    """What of Docker's configuration the SDK itself needs: the proxies that containers are told."""
    with suppress(RegistryError):
        found = _document(_path(), "").get("proxies")
        if isinstance(found, dict):
            return {
                engine: {name: text for name, text in told.items() if isinstance(text, str)}
                for engine, told in found.items()
                if isinstance(told, dict)
            }
    return {}


def _path() -> Path:
    return configuration_folder(os.environ) / "config.json"


def _document(path: Path, host: str) -> dict[str, object]:
    try:
        content = content_of(path)
        document = parsed(content) if content.strip() else {}
    except FileNotFoundError:
        return {}
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
    except ValueError as error:
        why = f"is no JSON that Docker wrote ({quoted(error)})"
    else:
        if isinstance(document, dict):
            return document
        why = "is not Docker's configuration: it holds no JSON object"
    raise RegistryError(
        f"{path} {why}, so that no credentials for {host} can be had: mend it, or name another "
        "folder with DOCKER_CONFIG"
    )


def _table(path: Path, document: dict[str, object], name: str, host: str) -> dict[str, object]:
    found = document.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise _wrong(f"{path}: {name}", "is no table of registries", host)
    return found


def _bare(name: str) -> str:
    host = name.rpartition("://")[2].partition("/")[0].lower()
    return DOCKER_HUB if host == "index.docker.io" else host


def _entry(table: dict[str, object], host: str) -> tuple[str, object] | None:
    """A registry's, by its own name first, and then by https://HOST/v1/ or what else has HOST."""

    def keys() -> Iterator[str]:
        yield from (name_of(host), host)
        yield from (key for key in table if _bare(key) == _bare(host))

    return next(((key, table[key]) for key in keys() if key in table), None)


def _written(kept: object, host: str, entry: str) -> Credentials | None:
    """Those that are in the file itself."""
    if not isinstance(kept, dict):
        raise _wrong(entry, "is no JSON object", host)
    texts = {name: kept.get(name) or "" for name in _TEXTS}
    for name, text in texts.items():
        if not isinstance(text, str):
            raise _wrong(entry, f"has something else than a text as {name}", host)
    username, password, identity_token, registry_token = texts.values()
    if word := kept.get("auth"):
        try:
            username, password = _decoded(word)
        except (ValueError, AttributeError):
            raise _wrong(entry, "has an auth that is not base64 of USER:PASSWORD", host) from None
    if not (username or identity_token or registry_token):
        return None
    return Credentials(username, password, identity_token, registry_token, entry)


def _decoded(word: str) -> tuple[str, str]:
    # Docker allows ends of lines in it, and takes what fills it up off the password.
    text = base64.b64decode("".join(word.split()), validate=True).decode()
    username, colon, password = text.partition(":")
    if not (username and colon):
        raise ValueError
    return username, password.strip("\0")


def _kept_by(helper: object, host: str, entry: str) -> Credentials | None:
    """Those that a program keeps; None where it has none."""
    if not isinstance(helper, str) or "\0" in helper:
        raise _wrong(entry, "does not name a helper", host)
    program = f"{_PROGRAM}{helper}"
    found = shutil.which(program)
    if found is None:
        raise _wrong(entry, f"names {program}, which is not on the PATH", host)
    try:
        answer = supervisor.run(
            [found, "get"], seconds=HELPER_SECONDS, given=name_of(host).encode()
        )
    except GivenUp as error:
        raise _wrong(entry, f"names {program}, which gave {error}", host) from None
    except OSError as error:
        reason = f"cannot be started ({error.strerror})"
        raise _wrong(entry, f"names {program}, which {reason}", host) from None
    if answer.status != 0:
        said = answer.output.strip() or answer.errors.strip()
        if _NONE_THERE in said.lower():
            return None
        reason = quoted(said) or f"exit status {answer.status} and no word"
        raise _wrong(entry, f"names {program}, which failed ({reason})", host)
    try:
        # What it says may be the password, and is not quoted.
        known = parsed(answer.content)
        username, secret = (known[name] for name in ("Username", "Secret"))
        if not (isinstance(username, str) and isinstance(secret, str)):
            raise TypeError
    except (ValueError, LookupError, TypeError):
        raise _wrong(entry, f"names {program}, whose answer is none", host) from None
    if username == _NO_USER:
        return Credentials(identity_token=secret, place=entry)
    return Credentials(username, secret, place=entry) if username else None


def _wrong(entry: str, what: str, host: str) -> RegistryError:
    return RegistryError(
        f"{entry} {what}, so that no credentials for {host} can be had: mend that, or take the "
        f"entry out and `docker login {host}` again"
    )
