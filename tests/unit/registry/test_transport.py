"""Passwords go to the registry alone, every answer ends, and asking again has bounds."""

from __future__ import annotations

import base64
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from made_up_registry import GOOD, MadeUpRegistry, Request, digest, says
from rocm_images.errors import RegistryError
from rocm_images.registry import retries, transport
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.retries import Retries
from rocm_images.registry.transport import Deadlines, Refused, Transport

WORD = "Basic " + base64.b64encode(b"someone:a word").decode()
TOKEN = "Bearer a-token"
ASKS = says(401, WWW_Authenticate='Basic realm="ours"')


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def secure(authority: trustme.CA, host: str) -> Iterator[MadeUpRegistry]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    with MadeUpRegistry(context, host=host) as found:
        yield found


@pytest.fixture(scope="module")
def ours(authority: trustme.CA) -> Iterator[MadeUpRegistry]:
    """The registry that we have a password for."""
    yield from secure(authority, "127.0.0.1")


@pytest.fixture(scope="module")
def other(authority: trustme.CA) -> Iterator[MadeUpRegistry]:
    """A server on another host."""
    yield from secure(authority, "localhost")


@pytest.fixture(scope="module")
def plain() -> Iterator[MadeUpRegistry]:
    """A server without TLS."""
    with MadeUpRegistry() as found:
        yield found


@pytest.fixture(autouse=True)
def _quiet(
    ours: MadeUpRegistry,
    other: MadeUpRegistry,
    plain: MadeUpRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Everybody behaves, nothing was asked, and Docker has a password for ours."""
    for one in (ours, other, plain):
        one.behave()
    document = {"auths": {ours.address: {"auth": WORD.removeprefix("Basic ")}}}
    (tmp_path / "config.json").write_text(json.dumps(document))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(retries, "sleep", lambda seconds: None)


@pytest.fixture
def repository(ours: MadeUpRegistry, authority: trustme.CA, tmp_path: Path) -> Repository:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    address = RegistryAddress.parse(f"https://{ours.address}")
    return Repository(address, "some/image", path, Retries(attempts=2))


def asking_first(
    then: Callable[[Request], object], challenge: str = 'Basic realm="ours"'
) -> Callable[[Request], object]:
    """Asks whoever says nothing for a password, and answers the others."""

    def answer(request: Request) -> object:
        if request.headers.get("Authorization"):
            return then(request)
        return says(401, WWW_Authenticate=challenge)(request)

    return answer


def to(server: MadeUpRegistry, scheme: str = "https") -> Callable[[Request], object]:
    """Redirects to the same path on another server."""
    return lambda request: says(307, Location=f"{scheme}://{server.address}{request.path}")(request)


def test_a_registry_that_asks_is_told_the_password(
    ours: MadeUpRegistry, repository: Repository
) -> None:
    ours.answers = asking_first(ours.as_registries_do)
    assert repository.digest_of("t") == digest(GOOD)
    assert ours.told == [WORD]


def test_a_redirect_to_another_host_takes_no_password_along(
    ours: MadeUpRegistry, other: MadeUpRegistry, repository: Repository
) -> None:
    ours.answers = asking_first(to(other))
    assert repository.digest_of("t") == digest(GOOD)
    assert ours.told == [WORD]
    assert len(other.asked) == 1
    assert other.told == []


@pytest.mark.parametrize("challenge", ["Basic", "Bearer"])
def test_another_host_that_asks_for_the_password_is_not_told(
    ours: MadeUpRegistry, other: MadeUpRegistry, repository: Repository, challenge: str
) -> None:
    realm = f'{challenge} realm="https://{other.address}/token",service="s"'
    ours.answers, other.answers = to(other), says(401, WWW_Authenticate=realm)
    with pytest.raises(RegistryError, match="sends us to somebody else, who asks for a password"):
        repository.manifest("t")
    assert len(other.asked) == 1
    assert ours.told == other.told == []


def test_nobody_is_followed_from_tls_to_plain_http(
    ours: MadeUpRegistry, plain: MadeUpRegistry, repository: Repository
) -> None:
    ours.answers = asking_first(to(plain, "http"))
    with pytest.raises(RegistryError, match=f"sends us to {plain.address}, which has no TLS"):
        repository.manifest("t")
    assert plain.asked == []


def test_an_upload_at_another_host_takes_no_password_along(
    ours: MadeUpRegistry, other: MadeUpRegistry, repository: Repository
) -> None:
    def uploads(request: Request) -> None:
        if request.method == "POST":
            request.answer(b"", 202, Location=f"https://{other.address}/upload?a=b")
        else:
            request.answer(b"", 404)

    ours.answers, other.answers = asking_first(uploads), says(201)
    repository.put_blob(digest(b"x"), b"x")
    assert set(ours.told) == {WORD}
    assert [one.partition("?")[0] for one in other.writes] == ["PUT /upload"]
    assert other.told == []


def test_a_token_is_given_out_beside_the_registry(
    ours: MadeUpRegistry, repository: Repository, authority: trustme.CA
) -> None:
    for tokens in secure(authority, "127.0.0.1"):
        tokens.answers = lambda request: request.answer(b'{"token": "a-token"}')
        realm = f'Bearer realm="https://{tokens.address}/token",service="s",scope="x"'
        ours.answers = asking_first(ours.as_registries_do, realm)
        assert repository.digest_of("t") == digest(GOOD)
        assert tokens.told == [WORD]
        assert ours.told == [TOKEN]


def test_who_gives_out_tokens_passes_no_password_on(
    ours: MadeUpRegistry, repository: Repository, authority: trustme.CA
) -> None:
    for tokens in secure(authority, "127.0.0.1"):
        for next_one in secure(authority, "127.0.0.1"):
            next_one.answers = lambda request: request.answer(b'{"token": "a-token"}')
            tokens.answers = to(next_one)
            realm = f'Bearer realm="https://{tokens.address}/token",service="s",scope="x"'
            ours.answers = asking_first(ours.as_registries_do, realm)
            assert repository.digest_of("t") == digest(GOOD)
            assert (tokens.told, next_one.told, ours.told) == ([WORD], [], [TOKEN])


def test_a_password_is_not_sent_for_a_token_to_another_domain(
    ours: MadeUpRegistry, other: MadeUpRegistry, repository: Repository
) -> None:
    realm = f'Bearer realm="https://{other.address}/token",service="s",scope="x"'
    ours.answers = says(401, WWW_Authenticate=realm)
    with pytest.raises(RegistryError, match="wants the password sent to localhost"):
        repository.manifest("t")
    assert other.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        says(404),
        says(500),
        says(200),
        lambda request: request.answer(b"<html>"),
        lambda request: request.answer(b"[]"),
        lambda request: request.answer(b"{}"),
        lambda request: request.answer(b'{"token": 7}'),
        lambda request: request.answer(b'{"token": "a\\r\\nX-Header: b"}'),
        lambda request: request.answer(b'{"token": ' + b"[" * 100_000),
    ],
)
def test_who_gives_out_no_tokens_is_not_taken_to_say_that_there_is_no_image(
    ours: MadeUpRegistry, repository: Repository, answer: Callable[[Request], object]
) -> None:
    realm = f'Bearer realm="https://{ours.address}/token",service="s",scope="x"'
    ours.answers = lambda request: (
        says(401, WWW_Authenticate=realm)(request) if request.wants_manifest else answer(request)
    )
    with pytest.raises(RegistryError):
        repository.digest_of("t")
    assert any("/token" in one for one in ours.asked)


@pytest.mark.parametrize("redirected", [False, True])
def test_passwords_of_netrc_are_not_for_registries(
    plain: MadeUpRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redirected: bool
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1\nlogin someone\npassword secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    if redirected:
        plain.answers = lambda request: (
            plain.as_registries_do(request)
            if request.path.endswith("/t")
            else says(307, Location=request.path.replace("/first", "/t"))(request)
        )
    repository = Repository(RegistryAddress.parse(plain.address), "some/image")
    assert repository.digest_of("first" if redirected else "t") == digest(GOOD)
    assert plain.told == []


@pytest.mark.parametrize(
    ("registry", "realm", "confided"),
    [
        ("registry-1.docker.io", "https://auth.docker.io/token", True),
        ("registry.gitlab.com", "https://gitlab.com/jwt/auth", True),
        ("ghcr.io", "https://ghcr.io/token", True),
        ("images.example.org:5050", "https://images.example.org/jwt", True),
        ("ghcr.io", "https://ghcr.io.example.org/token", False),
        ("ghcr.io", "https://evilghcr.io/token", False),
        ("registry.example.org", "https://registry.example.com/token", False),
        ("registry.example.org", "https://registry.example.org@evil.example/token", False),
        ("10.0.0.1:5000", "https://11.0.0.1/token", False),
        ("10.0.0.1:5000", "https://a.0.0.1/token", False),
        ("[::1]:5000", "https://[::2]/token", False),
        ("localhost:5000", "https://a.localhost/token", True),
        ("ghcr.io", "", False),
        ("ghcr.io", "token", False),
    ],
)
def test_tokens_are_given_out_in_the_registrys_own_domain(
    registry: str, realm: str, confided: bool
) -> None:
    session = Transport(RegistryAddress.parse(registry), Deadlines())
    if confided:
        session.check_realm(realm)
        return
    with pytest.raises(Refused, match="another domain"):
        session.check_realm(realm)


def test_what_may_pass_is_asked_again_and_no_longer(plain: MadeUpRegistry) -> None:
    plain.answers = says(429, Retry_After="99999999")
    address = RegistryAddress.parse(plain.address)
    for these, asked in ((Retries(attempts=4), 4), (Retries(attempts=9, longest=0), 1)):
        plain.asked.clear()
        with pytest.raises(RegistryError, match="it answered 429"):
            Repository(address, "some/image", retries=these).manifest("t")
        assert len(plain.asked) == asked


@pytest.mark.parametrize(
    ("number", "asked"), [(socket.EAI_NONAME, 1), (socket.EAI_NODATA, 1), (socket.EAI_AGAIN, 3)]
)
def test_a_host_that_does_not_exist_is_not_asked_for_again(
    number: int, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def name_server(host: str, *_: object, **__: object) -> None:
        looked.append(host)
        raise socket.gaierror(number, "no such host")

    monkeypatch.setattr(socket, "getaddrinfo", name_server)
    there = RegistryAddress.parse("registry.example.org")
    retries = Retries(attempts=3, first_wait=0)
    with pytest.raises(RegistryError, match="no such host"):
        Repository(there, "some/image", retries=retries).manifest("t")
    assert len(looked) == asked


def test_a_year_of_waiting_is_not_waited_for(
    plain: MadeUpRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(retries, "sleep", waits.append)
    plain.answers = says(429, Retry_After="99999999")
    with pytest.raises(RegistryError):
        Repository(RegistryAddress.parse(plain.address), "some/image").manifest("t")
    assert len(waits) == 5
    assert max(waits) <= Retries().longest_wait


def test_redirects_have_an_end(plain: MadeUpRegistry) -> None:
    plain.answers = lambda request: says(307, Location=request.path)(request)
    with pytest.raises(RegistryError, match="redirects"):
        Repository(RegistryAddress.parse(plain.address), "some/image").manifest("t")
    assert len(plain.asked) == transport.MOST_REDIRECTS + 1


def test_a_blob_has_a_limit_and_a_deadline(
    plain: MadeUpRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = RegistryAddress.parse(plain.address)
    monkeypatch.setattr(transport, "DEADLINES", Deadlines(whole=0.3))
    plain.answers = lambda request: (
        request.slowly(b"HTTP/1.1 200 OK\r\n", 1) or request.slowly(b"x: ")
    )
    with pytest.raises(RegistryError, match=r"takes longer than 0\.3 s"):
        Repository(address, "some/image").blob(digest(b""))
    monkeypatch.setattr(transport, "DEADLINES", Deadlines())
    monkeypatch.setattr(transport, "LARGEST_BLOB", 1024)
    plain.answers = lambda request: request.answer(b"x" * 1025)
    with pytest.raises(RegistryError, match="is larger than"):
        Repository(address, "some/image").blob(digest(b"x" * 1025))
    plain.answers = lambda request: request.answer(b"x" * 1024)
    assert Repository(address, "some/image").blob(digest(b"x" * 1024)) == b"x" * 1024


def test_a_registry_may_leave_the_digest_out_of_its_headers(plain: MadeUpRegistry) -> None:
    plain.answers = lambda request: request.answer(GOOD)
    repository = Repository(RegistryAddress.parse(plain.address), "some/image")
    assert repository.digest_of("t") == digest(GOOD)


def test_questions_share_a_connection(plain: MadeUpRegistry) -> None:
    repository = Repository(RegistryAddress.parse(plain.address), "some/image")
    for _ in range(3):
        assert repository.digest_of("t") == digest(GOOD)
    assert (len(plain.asked), len(plain.connections)) == (3, 1)


def test_a_proxy_is_used_and_its_answers_end_as_well(
    plain: MadeUpRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://{plain.address}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    address = RegistryAddress.parse("http://registry.invalid")
    assert Repository(address, "some/image").digest_of("t") == digest(GOOD)
    assert plain.asked == ["GET http://registry.invalid/v2/some/image/manifests/t"]
    monkeypatch.setattr(transport, "DEADLINES", Deadlines(whole=0.2))
    plain.answers = lambda request: request.slowly(b" ")
    with pytest.raises(RegistryError, match=r"takes longer than 0\.2 s"):
        Repository(address, "some/image").digest_of("t")
