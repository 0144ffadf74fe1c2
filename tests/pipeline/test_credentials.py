"""A password goes to no registry over plain HTTP, whichever of our programs it asks."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from token_registry import IDENTITY, TOKEN, TokenRegistry

from conftest import Keys
from rocm_images.errors import RocmImagesError
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.trust import Signer, Trust
from serving import serving

DIGEST = "sha256:" + "0" * 64
WORD = base64.b64encode(b"someone:a word").decode()


@dataclass
class Asking:
    """A registry without TLS that asks everybody for a password, and keeps what it is told."""

    address: str
    asked: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


@pytest.fixture
def asking() -> Iterator[Asking]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            found.asked.append(self.path)
            if word := self.headers.get("Authorization"):
                found.told.append(word)
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="ours"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_POST = do_PUT = answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Asking(f"127.0.0.1:{server.server_port}")
    with serving(server):
        yield found


@pytest.fixture
def docker_config(asking: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's configuration of somebody who has logged in there."""
    folder = tmp_path / "docker"
    folder.mkdir()
    document = {"auths": {asking.address: {"auth": WORD}}}
    (folder / "config.json").write_text(json.dumps(document))
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


def test_cosign_itself_sends_the_password(asking: Asking, docker_config: Path, keys: Keys) -> None:
    words = ["cosign", "verify", f"--key={keys.our_public}", "--insecure-ignore-tlog=true"]
    words += ["--allow-http-registry", f"{asking.address}/some/image@{DIGEST}"]
    environment = {**keys.environment, "DOCKER_CONFIG": str(docker_config)}
    done = subprocess.run(words, env=environment, check=False, capture_output=True, timeout=120)
    assert done.returncode != 0
    assert f"Basic {WORD}" in asking.told


def _copy(cosign: Cosign, keys: Keys, image: str, folder: Path) -> None:
    repository, _, _ = image.partition("@")
    cosign.copy(image, cosign.registry, f"{repository}-copied:t")


USES: dict[str, Callable[[Cosign, Keys, str, Path], object]] = {
    "sign": lambda cosign, keys, image, _: cosign.sign(image, Signer(str(keys.ours))),
    "attest": lambda cosign, keys, image, _: cosign.attest(
        image, "custom", {"a": 1}, Signer(str(keys.ours))
    ),
    "verify": lambda cosign, keys, image, _: cosign.verify(image, Trust(str(keys.our_public))),
    "statements": lambda cosign, keys, image, _: cosign.statements(
        image, "custom", Trust(str(keys.our_public))
    ),
    "copy": _copy,
    "save": lambda cosign, _, image, folder: cosign.save(image, folder / "saved"),
}


@pytest.mark.parametrize("use", USES)
def test_our_use_of_cosign_does_not(
    asking: Asking, docker_config: Path, keys: Keys, tmp_path: Path, use: str
) -> None:
    environment = {**keys.environment, "DOCKER_CONFIG": str(docker_config)}
    cosign = Cosign(RegistryAddress.parse(asking.address), environment)
    with pytest.raises(RocmImagesError):
        USES[use](cosign, keys, f"{asking.address}/some/image@{DIGEST}", tmp_path)
    assert asking.asked
    assert asking.told == []


def test_our_own_client_does_not(asking: Asking, docker_config: Path) -> None:
    repository = Repository(RegistryAddress.parse(asking.address), "some/image")
    with pytest.raises(RocmImagesError):
        repository.manifest("latest")
    assert asking.asked
    assert asking.told == []


def test_cosign_itself_gives_the_identity_token_that_it_is_handed(
    keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with TokenRegistry(authority) as registry:
        # An entry of another registry that cosign would fall over.
        auths = {registry.address: {"identitytoken": IDENTITY}, "other.example.org": {"auth": "*"}}
        (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
        address = RegistryAddress.parse(f"https://{registry.address}")
        with pytest.raises(RocmImagesError):
            Cosign(address, keys.environment, bundle).verify(
                f"{registry.address}/some/image@{DIGEST}", Trust(str(keys.our_public))
            )
        assert registry.forms
        assert {one["refresh_token"][0] for one in registry.forms} == {IDENTITY}
        assert set(registry.told) == {f"Bearer {TOKEN}"}
