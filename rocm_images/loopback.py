"""What is on this machine is reached without a proxy, whatever the environment says of proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_NAMES = "localhost,127.0.0.1,127.0.0.0/8,::1"
"""As Go, curl and Python's libraries read NO_PROXY: not each of them knows ranges."""
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_NO_PROXY = ("NO_PROXY", "no_proxy")


def is_loopback(host: str) -> bool:
    """Whether a host, without its port, is this machine itself: 127.0.0.0/8, ::1 or localhost."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def direct(url: str | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a request of requests, with no proxy where it goes to this machine."""
    if is_loopback(urlsplit(url or "").hostname or ""):
        return {**settings, "proxies": {}}
    return dict(settings)


def beside_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for another program, which asks none of its proxies for this machine.

    Go's programs (docker, buildx, cosign) never do for HTTP; git, curl and pip do.
    """
    if not any(environment.get(name) or environment.get(name.upper()) for name in _PROXIES):
        return dict(environment)
    # Some programs read one of the two, and some the other.
    named = [name for name in _NO_PROXY if environment.get(name)]
    known = {name: environment[name] for name in named} or dict.fromkeys(_NO_PROXY, "")
    # `*` is all there is, and only by itself.
    more = {
        name: text if text.strip() == "*" else f"{text},{_NAMES}".lstrip(",")
        for name, text in known.items()
    }
    return {**environment, **more}
