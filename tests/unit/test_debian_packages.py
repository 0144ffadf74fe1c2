"""Which of the distribution's packages are unpacked, whatever the host has installed."""

from __future__ import annotations

from rehearsal.debian_packages import lacking

# What apt says that an installation would bring, and in which order.
PLANNED = """\
Reading package lists...
Building dependency tree...
The following NEW packages will be installed:
  browser browser-common libc6 libfont
Inst libc6 (2.36-9+deb12u14 Debian:12.12/oldstable [amd64])
Inst libfont (1:2.1 Debian:12.12/oldstable [all])
Inst browser-common (156.0 Debian-Security:12/oldstable-security [amd64])
Inst browser (156.0 Debian-Security:12/oldstable-security [amd64])
Conf libc6 (2.36-9+deb12u14 Debian:12.12/oldstable [amd64])
Conf browser (156.0 Debian-Security:12/oldstable-security [amd64])
"""
NAMED = ["browser", "browser-common"]


def test_what_is_named_is_unpacked_though_the_host_has_it() -> None:
    everything = {"browser", "browser-common", "libc6", "libfont"}
    assert lacking(NAMED, PLANNED, everything) == NAMED
    assert lacking(NAMED, PLANNED, {"browser-common", "libc6"}) == [*NAMED, "libfont"]


def test_what_is_needed_is_unpacked_only_where_the_host_lacks_it() -> None:
    assert lacking(NAMED, PLANNED, set()) == [*NAMED, "libc6", "libfont"]
    assert lacking(NAMED, PLANNED, {"libc6"}) == [*NAMED, "libfont"]
