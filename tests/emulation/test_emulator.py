"""The emulator's own tests, without HIP: on the HSA interface, and under the sanitizers."""

from __future__ import annotations

import re

import pytest

from rehearsal.laboratory import Laboratory

# Ubuntu 22.04's: a base that is older than the root that the emulator is built on.
GLIBC = (2, 35)


@pytest.mark.parametrize("check", ["check", "check-asan", "check-tsan"])
def test_the_emulator_passes(laboratory: Laboratory, check: str) -> None:
    # What they share is made by the first of them.
    make = ["make", "-s", "-j2", "-C", "/project/emulation", "BUILD=/tmp/emulator", check]
    done = laboratory.run(*make, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("library", ["libhsa-runtime64.so.1", "graph-probe.kernels.so"])
def test_what_is_mounted_into_images_loads_on_ubuntu_22_04(
    laboratory: Laboratory, library: str
) -> None:
    done = laboratory.run("readelf", "--version-info", "--dynamic", f"/opt/emulation/{library}")
    assert done.returncode == 0, done.stderr
    asked = {tuple(map(int, v.split("."))) for v in re.findall(r"GLIBC_([\d.]+)", done.stdout)}
    assert (2, 2, 5) in asked
    assert max(asked) <= GLIBC
    # Its own libstdc++ and libgcc: an older base's may lack what it needs.
    assert "GLIBCXX" not in done.stdout
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", done.stdout)
    assert not [name for name in needed if name.startswith(("libstdc++", "libgcc"))]


def test_a_kernel_that_the_emulator_lacks_is_named(laboratory: Laboratory) -> None:
    runtime = laboratory.runtime("7.2.4")
    # Beside this copy of the emulator lie no kernels.
    script = "mkdir -p /tmp/bare && cp /opt/emulation/libhsa-runtime64.so.1 /tmp/bare/ && exec "
    script += "images/rootfs/usr/local/bin/graph-probe decode --timeout 60"
    bare = {**runtime.environment, "LD_LIBRARY_PATH": f"/tmp/bare:{runtime.folder}"}
    done = laboratory.run("sh", "-c", script, env=bare)
    assert done.returncode == 31, done.stdout
    assert re.search(r"emulation: .*k_\w+.*HSA_STANDIN_KERNELS", done.stdout + done.stderr)
