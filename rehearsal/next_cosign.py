"""The cosign of the next Debian, beside today's: the one that distributions ship next.

Nothing pins its version: that is whatever the release in the making has, which apt verifies.
"""

from __future__ import annotations

from pathlib import Path

from rehearsal.debian_packages import Distribution, distribution
from rehearsal.unpacked_programs import unpacked
from rocm_images.errors import EngineError

_SUITE = "forky"
INSTALLED = Path("/opt/next-cosign/cosign")


def next_cosign() -> Path:
    """The program; on Ubuntu, which has no package of it, what was put at INSTALLED.

    Raises:
        EngineError: there is none, and none can be unpacked.
    """
    host = distribution()
    if host.is_debian:
        packages = Distribution(host.codename, {_SUITE: ("cosign",)})
        return unpacked("next-cosign", packages) / "usr/bin/cosign"
    if not INSTALLED.is_file():
        raise EngineError(f"{host.codename} has no package of cosign: put version 3 at {INSTALLED}")
    return INSTALLED
