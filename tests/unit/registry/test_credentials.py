"""Docker's own credentials are found, wherever Docker keeps them, and go where they are to go."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocm_images.errors import RegistryError
from rocm_images.registry.credentials import Credentials, credentials_of, only_for

HOST = "registry.example.org:5000"
OURS = Credentials("someone", "a word")
AUTH = {"auth": base64.b64encode(b"someone:a word").decode()}
HELPER = """\
#!/bin/sh
read host
[ "$host" = registry.example.org:5000 ] ||
    { echo "credentials not found in native keychain"; exit 1; }
echo '{"ServerURL": "registry.example.org:5000", "Username": "%s", "Secret": "a word"}'
"""

Configure = Callable[..., None]


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Writes Docker's config.json, and helpers by name."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def write(document: dict[str, Any], **helpers: str) -> None:
        (tmp_path / "config.json").write_text(json.dumps(document))
        for name, text in helpers.items():
            helper = tmp_path / f"docker-credential-{name}"
            helper.write_text(text)
            helper.chmod(0o755)

    return write


@pytest.mark.parametrize(
    "document",
    [
        {"auths": {HOST: AUTH}},
        {"auths": {f"https://{HOST}/v1/": AUTH}},
        {"credsStore": "made"},
        {"credHelpers": {HOST: "made"}},
    ],
)
def test_they_are_found_wherever_docker_keeps_them(
    configure: Configure, document: dict[str, Any]
) -> None:
    configure(document, made=HELPER % "someone")
    assert credentials_of(HOST) == OURS
    assert credentials_of("another.example.org") is None


@pytest.mark.parametrize(
    ("document", "helper", "sentence"),
    [
        ({"credsStore": "absent"}, "", "cannot be had .*absent.*: mend the helper"),
        ({"credsStore": "made"}, "#!/bin/sh\necho odd; exit 1\n", "cannot be had .*: mend the"),
        ({"credsStore": "made"}, HELPER % "<token>", "an identity token .*: `docker login"),
        ({"auths": {HOST: {**AUTH, "identitytoken": "x"}}}, "", "an identity token"),
    ],
)
def test_those_that_cannot_be_used_are_a_sentence(
    configure: Configure, document: dict[str, Any], helper: str, sentence: str
) -> None:
    configure(document, made=helper)
    with pytest.raises(RegistryError, match=sentence):
        credentials_of(HOST)


def test_docker_hub_has_the_name_that_programs_look_for(configure: Configure) -> None:
    configure({"auths": {"https://index.docker.io/v1/": AUTH}})
    with only_for(["docker.io"], {}) as environment:
        document = json.loads(Path(environment["DOCKER_CONFIG"], "config.json").read_text())
    assert document == {"auths": {"https://index.docker.io/v1/": AUTH}}


def test_a_program_is_given_those_of_the_named_registries_alone(configure: Configure) -> None:
    configure({"auths": {HOST: AUTH, "plain.example.org": AUTH}})
    with only_for([HOST, "nobody.example.org"], {"A": "b"}) as environment:
        path = Path(environment["DOCKER_CONFIG"], "config.json")
        assert json.loads(path.read_text()) == {"auths": {HOST: AUTH}}
        assert path.stat().st_mode & 0o077 == 0
        assert environment["A"] == "b"
    assert not path.exists()
