"""The cosign of the next Debian, beside today's: the one that distributions ship next.

Nothing pins its version: that is whatever the release in the making has, which apt verifies.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from rehearsal.debian_packages import Distribution, distribution
from rehearsal.unpacked_programs import unpacked
from rocm_images.errors import EngineError

_SUITE = "forky"


def next_cosign() -> Path:
    """The program; on Ubuntu, which has no package of it, the installed one, of any version.

    Raises:
        EngineError: there is none, and none can be unpacked.
    """
    host = distribution()
    if host.is_debian:
        packages = Distribution(host.codename, {_SUITE: ("cosign",)})
        return unpacked("next-cosign", packages) / "usr/bin/cosign"
    found = shutil.which("cosign")
    if found is None:
        raise EngineError(f"cosign is missing, and {host.codename} has no package of it: install 3")
    return Path(found)
