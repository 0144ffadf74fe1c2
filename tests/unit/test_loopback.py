"""No proxy is asked for what is on this machine, and NO_PROXY is honoured."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from urllib.request import getproxies

import pytest

from made_up_registry import GOOD, MadeUpRegistry, digest, says
from rocm_images.engine.client import Asking
from rocm_images.errors import RegistryError
from rocm_images.loopback import beside_proxies, direct, is_loopback
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.retries import Retries
from rocm_images.supervisor import supervisor

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
NAMES = "localhost,127.0.0.1,127.0.0.0/8,::1"


@pytest.fixture(scope="module")
def proxy() -> Iterator[MadeUpRegistry]:
    """What is asked of it, it answers as the registry would; it counts what reaches it."""
    with MadeUpRegistry() as found:
        yield found


@pytest.fixture(autouse=True)
def _none(proxy: MadeUpRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy.behave()
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def asks(address: str) -> str | None:
    there = Repository(RegistryAddress.parse(address), "some/image", retries=Retries(attempts=1))
    return there.digest_of("t")


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost"])
def test_our_client_asks_this_machine_itself(
    proxy: MadeUpRegistry, monkeypatch: pytest.MonkeyPatch, variable: str, host: str
) -> None:
    monkeypatch.setenv(variable, f"http://{proxy.address}")
    with MadeUpRegistry(host=host) as registry:
        assert asks(registry.address) == digest(GOOD)
        assert len(registry.asked) == 1
    assert proxy.asked == []
    # The same proxy is asked for another machine.
    assert asks("http://registry.invalid") == digest(GOOD)
    assert proxy.asked == ["GET http://registry.invalid/v2/some/image/manifests/t"]


def test_a_redirect_to_this_machine_goes_around_the_proxy_and_one_from_it_through(
    proxy: MadeUpRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
    with MadeUpRegistry() as registry:
        proxy.answers = says(307, Location=f"http://{registry.address}/v2/a/manifests/t")
        assert asks("http://registry.invalid") == digest(GOOD)
        assert (len(proxy.asked), registry.asked) == (1, ["GET /v2/a/manifests/t"])
        proxy.behave()
        registry.answers = says(307, Location="http://registry.invalid/v2/a/manifests/t")
        assert asks(registry.address) == digest(GOOD)
        assert proxy.asked == ["GET http://registry.invalid/v2/a/manifests/t"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_cannot_be_had_is_named_by_its_variables(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{port}")
    with pytest.raises(RegistryError) as caught:
        asks(f"{scheme}://registry.invalid")
    by = r"\(by the proxy of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY: Failed to establish a new "
    assert re.search(by + r"connection: \[Errno \d+\] Connection refused\)$", str(caught.value))


def test_a_proxy_that_lets_nobody_through_is_quoted(
    proxy: MadeUpRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", f"http://{proxy.address}")
    with pytest.raises(RegistryError, match=r"ALL_PROXY: Tunnel connection failed: 501 "):
        asks("https://registry.invalid")


def test_a_connection_that_ends_is_said_in_words() -> None:
    with MadeUpRegistry() as registry:
        registry.answers = lambda request: request.close()
        with pytest.raises(
            RegistryError, match=r"\(Remote end closed connection without [a-z]+\)$"
        ):
            asks(registry.address)


@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize(
    ("told", "host", "around"),
    [
        ("registry.invalid", "registry.invalid", True),
        ("a.invalid, registry.invalid:80", "registry.invalid:80", True),
        ("registry.invalid:81", "registry.invalid:80", False),
        (".invalid", "registry.invalid", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/16", "10.1.2.3", False),
        ("*", "registry.invalid", True),
        ("other.invalid", "registry.invalid", False),
    ],
)
def test_no_proxy_is_honoured(
    proxy: MadeUpRegistry,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    told: str,
    host: str,
    around: bool,
) -> None:
    monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
    monkeypatch.setenv(variable, told)
    # Where it goes is looked up without asking anybody.
    reached: list[str] = []

    def refused(address: tuple[str, int], *_: object, **__: object) -> object:
        reached.append(address[0])
        raise OSError("it is not reached in a test")

    if around:
        monkeypatch.setattr("urllib3.util.connection.create_connection", refused)
        with pytest.raises(Exception, match="cannot read"):
            asks(f"http://{host}")
        assert reached == [host.partition(":")[0]]
        assert proxy.asked == []
    else:
        assert asks(f"http://{host}") == digest(GOOD)
        assert len(proxy.asked) == 1


def test_an_engine_on_this_machine_is_asked_itself(
    proxy: MadeUpRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
    with MadeUpRegistry() as engine:
        engine.answers = lambda request: request.answer(b"OK")
        calls = Asking(f"tcp://{engine.address}", None, "1.44", 5)
        assert calls.ping()  # type: ignore[no-untyped-call]
        calls.close()
        assert engine.asked == ["GET /v1.44/_ping"]
    proxy.answers = lambda request: request.answer(b"OK")
    assert proxy.asked == []
    calls = Asking("tcp://engine.invalid:2375", None, "1.44", 5)
    assert calls.ping()  # type: ignore[no-untyped-call]
    calls.close()
    assert len(proxy.asked) == 1


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, {}),
        ({"NO_PROXY": "a"}, {"NO_PROXY": "a"}),
        ({"HTTPS_PROXY": "p"}, {"HTTPS_PROXY": "p", "NO_PROXY": NAMES, "no_proxy": NAMES}),
        ({"http_proxy": "p", "NO_PROXY": "a"}, {"http_proxy": "p", "NO_PROXY": f"a,{NAMES}"}),
        ({"all_proxy": "p", "no_proxy": "a"}, {"all_proxy": "p", "no_proxy": f"a,{NAMES}"}),
        ({"all_proxy": "p", "no_proxy": "*"}, {"all_proxy": "p", "no_proxy": "*"}),
        (
            {"http_proxy": "p", "NO_PROXY": "", "no_proxy": ".b"},
            {"http_proxy": "p", "NO_PROXY": "", "no_proxy": f".b,{NAMES}"},
        ),
    ],
)
def test_every_child_is_told_to_ask_none(
    environment: dict[str, str], told: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert beside_proxies(environment) == told
    words = [sys.executable, "-c", "import json, os; print(json.dumps({**os.environ}))"]
    seen = json.loads(supervisor.run(words, environment, seconds=60).output)
    assert {name: text for name, text in seen.items() if name != "LC_CTYPE"} == told
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    inherited = json.loads(supervisor.run(words, seconds=60).output)
    assert told.items() <= inherited.items()
    # This process's own environment is left alone.
    assert {name: os.environ.get(name) for name in told} == {
        name: environment.get(name) for name in told
    }


def test_a_child_that_asks_by_itself_goes_around_the_proxy(
    proxy: MadeUpRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
    assert "http" in getproxies()
    with MadeUpRegistry() as registry:
        url = f"http://{registry.address}/v2/some/image/manifests/t"
        words = [sys.executable, "-c", f"import urllib.request as r; r.urlopen({url!r}).read()"]
        assert supervisor.run(words, seconds=60).status == 0
        assert len(registry.asked) == 1
    assert proxy.asked == []


# Not every machine has IPv6 to serve on.
@pytest.mark.parametrize(
    ("url", "proxies"),
    [
        ("https://[::1]:5000/v2/", {}),
        ("https://LocalHost/v2/", {}),
        ("https://127.0.0.1@registry.invalid/v2/", {"all": "p"}),
        ("https://[2001:db8::1]/v2/", {"all": "p"}),
        (None, {"all": "p"}),
    ],
)
def test_a_request_to_this_machine_has_no_proxies(url: str | None, proxies: dict[str, str]) -> None:
    assert direct(url, {"proxies": {"all": "p"}, "stream": True}) == {
        "proxies": proxies,
        "stream": True,
    }


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.255.0.9", True),
        ("::1", True),
        ("128.0.0.1", False),
        ("2001:db8::1", False),
        ("notlocalhost", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_what_is_this_machine(host: str, is_here: bool) -> None:
    assert is_loopback(host) is is_here
