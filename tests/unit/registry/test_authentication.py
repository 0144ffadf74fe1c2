"""A registry that wants a token is told what Docker has for it, and nobody else is."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from token_registry import IDENTITY, PASSWORD, TOKEN, TokenRegistry

from made_up_registry import GOOD, MadeUpRegistry, digest, says
from rocm_images.errors import RegistryError
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.retries import Retries

LoggedIn = Callable[..., Repository]
WITH_PASSWORD = {"auth": PASSWORD.removeprefix("Basic ")}
# As `az acr login` writes them.
NOBODY = "00000000-0000-0000-0000-000000000000"
AZURES = {"auth": base64.b64encode(f"{NOBODY}:".encode()).decode(), "identitytoken": IDENTITY}
HELPER = """\
#!/bin/sh
echo '{"ServerURL": "x", "Username": "<token>", "Secret": "%s"}'
"""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def registry(authority: trustme.CA) -> Iterator[TokenRegistry]:
    with TokenRegistry(authority) as found:
        yield found


@pytest.fixture
def logged_in(
    registry: TokenRegistry,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> LoggedIn:
    """The repository, for somebody whose config.json has this for the registry."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))

    def configure(entry: dict[str, Any] | None, **more: Any) -> Repository:
        document = {"auths": {registry.address: entry} if entry else {}, **more}
        (tmp_path / "config.json").write_text(json.dumps(document))
        helper = tmp_path / "docker-credential-made"
        helper.write_text(HELPER % IDENTITY)
        helper.chmod(0o755)
        address = RegistryAddress.parse(f"https://{registry.address}")
        return Repository(address, "some/image", tmp_path / "authority.pem", Retries(attempts=1))

    return configure


@pytest.mark.parametrize(
    ("entry", "more"),
    [
        (AZURES, {}),
        ({"identitytoken": IDENTITY}, {}),
        ({**WITH_PASSWORD, "identitytoken": IDENTITY}, {}),
        (None, {"credsStore": "made"}),
    ],
)
def test_an_identity_token_is_given_for_a_token(
    registry: TokenRegistry, logged_in: LoggedIn, entry: dict[str, Any], more: dict[str, Any]
) -> None:
    assert logged_in(entry, **more).digest_of("t") == digest(GOOD)
    assert registry.forms == [
        {
            "grant_type": ["refresh_token"],
            "refresh_token": [IDENTITY],
            "service": ["s"],
            "scope": ["repository:some/image:pull x:y:z"],
            "client_id": ["rocm-images"],
        }
    ]
    assert registry.told == [f"Bearer {TOKEN}"]


def test_a_password_is_given_for_a_token(registry: TokenRegistry, logged_in: LoggedIn) -> None:
    assert logged_in(WITH_PASSWORD).digest_of("t") == digest(GOOD)
    assert registry.forms == []
    assert registry.told == [PASSWORD, f"Bearer {TOKEN}"]


def test_a_token_for_the_registry_is_shown_to_it_alone(
    registry: TokenRegistry, logged_in: LoggedIn
) -> None:
    assert logged_in({"registrytoken": TOKEN}).digest_of("t") == digest(GOOD)
    assert not any("/token" in one for one in registry.asked)
    assert registry.told == [f"Bearer {TOKEN}"]
    with pytest.raises(RegistryError, match="does not let us in"):
        logged_in({"registrytoken": "old"}).digest_of("t")


@pytest.mark.parametrize("status", [404, 405])
def test_who_does_not_know_oauth2_is_given_the_password(
    registry: TokenRegistry, logged_in: LoggedIn, status: int
) -> None:
    registry.granting = says(status)
    assert logged_in({**WITH_PASSWORD, "identitytoken": IDENTITY}).digest_of("t") == digest(GOOD)
    assert registry.told == [PASSWORD, f"Bearer {TOKEN}"]
    with pytest.raises(RegistryError, match=r"has an identity token for which .* answered 401"):
        logged_in(AZURES).digest_of("t")
    # An empty password is none.
    assert registry.told == [PASSWORD, f"Bearer {TOKEN}"]


@pytest.mark.parametrize("status", [400, 401, 403])
def test_an_identity_token_that_expired_is_a_sentence(
    registry: TokenRegistry, logged_in: LoggedIn, tmp_path: Path, status: int
) -> None:
    registry.granting = says(status)
    with pytest.raises(RegistryError) as found:
        logged_in(AZURES).digest_of("t")
    assert str(found.value) == (
        f"{tmp_path / 'config.json'}: auths '{registry.address}' has an identity token for which "
        f"{registry.address} gives out no token (it answered {status}), as when it expired: "
        f"`docker login {registry.address}` again"
    )


def test_a_registry_that_wants_a_password_has_no_use_for_an_identity_token(
    registry: TokenRegistry, logged_in: LoggedIn
) -> None:
    registry.challenge = "Basic"
    with pytest.raises(RegistryError, match=r"config\.json: credsStore has an identity token, and"):
        logged_in(None, credsStore="made").digest_of("t")
    assert registry.told == registry.forms == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_an_identity_token_is_not_passed_on(
    registry: TokenRegistry, logged_in: LoggedIn, authority: trustme.CA, status: int
) -> None:
    with TokenRegistry(authority) as other:
        registry.granting = says(status, Location=other.realm)
        with pytest.raises(RegistryError, match="sends us on with an identity token"):
            logged_in(AZURES).digest_of("t")
        assert other.asked == []


def test_an_identity_token_is_not_sent_to_another_domain(
    registry: TokenRegistry, logged_in: LoggedIn, authority: trustme.CA
) -> None:
    with TokenRegistry(authority, "localhost") as other:
        registry.realm = other.realm
        with pytest.raises(RegistryError, match="wants the password sent to localhost"):
            logged_in(AZURES).digest_of("t")
        assert other.asked == []


def test_whoever_is_busy_is_asked_again_with_the_identity_token(
    registry: TokenRegistry, logged_in: LoggedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rocm_images.registry.retries.sleep", lambda seconds: None)
    registry.granting = says(503)
    there = logged_in(AZURES)
    again = Repository(there.address, there.name, there.ca_bundle, Retries(attempts=3))
    with pytest.raises(RegistryError, match="it answered 503"):
        again.digest_of("t")
    assert len(registry.forms) == 3


def test_nothing_of_it_is_sent_over_plain_http(logged_in: LoggedIn, tmp_path: Path) -> None:
    logged_in(AZURES)
    with MadeUpRegistry() as plain:
        document = {"auths": {plain.address: AZURES}}
        (tmp_path / "config.json").write_text(json.dumps(document))
        plain.answers = says(401, WWW_Authenticate=f'Bearer realm="http://{plain.address}/token"')
        with pytest.raises(RegistryError, match="over plain HTTP"):
            Repository(RegistryAddress.parse(plain.address), "some/image").digest_of("t")
        assert plain.asked == ["GET /v2/some/image/manifests/t"]
        assert plain.told == []
