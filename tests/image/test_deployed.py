"""On a GPU the image is tested in a container that may do what a deployment may, and no more.

The engine was asked for that (rocm_images/engine/run_flags.py); here is what it gave.
"""

from __future__ import annotations

import pytest
from confinement import unlike_deployed
from testinfra.host import Host


@pytest.mark.deployed
def test_the_container_has_what_a_deployment_gives_it_and_no_more(host: Host) -> None:
    texts = [host.check_output(f"cat /proc/1/{name}") for name in ("status", "limits")]
    size = host.check_output("df --block-size=1 --output=size /dev/shm | tail -n 1")
    assert unlike_deployed(*texts, size) == []
