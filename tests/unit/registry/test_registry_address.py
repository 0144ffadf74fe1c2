"""Which texts are a registry's address, and where passwords and stand-ins may go."""

from __future__ import annotations

import pytest

from rocm_images.errors import InputError
from rocm_images.registry.address import RegistryAddress


@pytest.mark.parametrize(
    ("text", "host", "repository", "plain_http"),
    [
        ("ghcr.io/team", "ghcr.io", "team/sglang-rocm", False),
        ("registry.example.org:5000", "registry.example.org:5000", "sglang-rocm", False),
        (
            "http://registry.example.org:5000/a/b/",
            "registry.example.org:5000",
            "a/b/sglang-rocm",
            True,
        ),
        ("127.0.0.1:5000", "127.0.0.1:5000", "sglang-rocm", True),
        ("localhost", "localhost", "sglang-rocm", True),
        ("https://127.0.0.1:5000", "127.0.0.1:5000", "sglang-rocm", False),
        ("[::1]:5000", "[::1]:5000", "sglang-rocm", True),
    ],
)
def test_plain_http_is_for_loopback_or_where_it_is_written_out(
    text: str, host: str, repository: str, plain_http: bool
) -> None:
    address = RegistryAddress.parse(text)
    found = (address.host, address.repository("sglang-rocm"), address.plain_http)
    assert found == (host, repository, plain_http)


@pytest.mark.parametrize(
    "text", ["", "two words", "ftp://host", "host/UPPER", "host//x", "user:pass@host", "host:port"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no registry's address"):
        RegistryAddress.parse(text)


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("127.0.0.1:5000", True),
        ("127.9.9.9", True),
        ("localhost:1", True),
        ("[::1]", True),
        ("localhost.example.org", False),
        ("10.0.0.1:5000", False),
        ("ghcr.io", False),
        ("127.0.0.1.example.org", False),
    ],
)
def test_only_this_machine_is_loopback(text: str, loopback: bool) -> None:
    assert RegistryAddress.parse(text).is_loopback is loopback
