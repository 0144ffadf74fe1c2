"""Where a registry is: `--registry [http://|https://]HOST[:PORT][/PREFIX]`, and what may go there.

TLS is used and verified everywhere but on loopback, where plain HTTP is usual. A scheme that is
written out is taken at its word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rocm_images.errors import InputError
from rocm_images.loopback import is_loopback
from rocm_images.references import DOCKER_HUB

_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
# The path components of a repository: https://github.com/opencontainers/distribution-spec
_PREFIX = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")


@dataclass(frozen=True)
class RegistryAddress:
    """A registry and the path in it below which the repositories of the images are."""

    host: str
    """HOST or HOST:PORT, as it begins an image reference."""
    prefix: str = ""
    plain_http: bool = False

    @classmethod
    def parse(cls, text: str) -> RegistryAddress:
        """The address that a user wrote.

        Raises:
            InputError: it is no registry's address.
        """
        scheme, separator, rest = text.rpartition("://")
        host, _, prefix = rest.rstrip("/").partition("/")
        known = not separator or scheme in ("http", "https")
        if not known or not _HOST.fullmatch(host) or (prefix and not _PREFIX.fullmatch(prefix)):
            raise InputError(
                f"{text!r} is no registry's address: write HOST, HOST:PORT or HOST/PATH in "
                "lower case, with http:// before it where the registry has no TLS"
            )
        plain = scheme == "http" if separator else _is_loopback(host)
        return cls(host, prefix, plain)

    @property
    def is_loopback(self) -> bool:
        """Whether the registry is on this machine: the only place for stand-ins."""
        return _is_loopback(self.host)

    @property
    def api_host(self) -> str:
        """The host that answers for the registry."""
        return "registry-1.docker.io" if self.host == DOCKER_HUB else self.host

    def repository(self, name: str) -> str:
        """The path of a repository in the registry."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def named(self, name: str) -> str:
        """A repository with its host, as it begins an image reference."""
        return f"{self.host}/{self.repository(name)}"

    def __str__(self) -> str:
        return f"{self.host}/{self.prefix}" if self.prefix else self.host


def _is_loopback(host: str) -> bool:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return is_loopback(name)
