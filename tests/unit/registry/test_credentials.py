"""Docker's own credentials are found, wherever Docker keeps them, and go where they are to go."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docker import auth

from made_up_programs import COSIGN_VERSION
from rocm_images.engine.client import Asking
from rocm_images.engine.connect import Engine, Version
from rocm_images.engine.logins import Credentials, credentials_of
from rocm_images.errors import RegistryError
from rocm_images.lock.upstream import Unresolved, digest_by_engine
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.cosign import Cosign, Trust
from rocm_images.registry.credentials import only_for

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
DIGEST = "sha256:" + "0" * 64
NOTHING = "#!/bin/sh\necho credentials not found in native keychain; exit 1\n"
SAYS_NONE = "credsStore names docker-credential-%s, whose answer is none"
NO_BASE64 = f"auths '{HOST}' has an auth that is not base64 of USER:PASSWORD"

Configure = Callable[..., None]


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Writes Docker's config.json, and helpers by name."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def write(document: Any, **helpers: str) -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        (tmp_path / "config.json").write_text(text)
        for name, text in helpers.items():
            helper = tmp_path / f"docker-credential-{name}"
            helper.write_text(text)
            helper.chmod(0o755)

    return write


def told_to_an_engine(host: str) -> dict[str, str] | None:
    """What the SDK sends along where an engine is to ask a registry."""
    engine = Asking("tcp://127.0.0.1:1", None, "1.44", 1)
    try:
        header = auth.get_config_header(engine, host)  # type: ignore[no-untyped-call]
    finally:
        engine.close()
    return json.loads(base64.urlsafe_b64decode(header)) if header else None


@pytest.mark.parametrize(
    "document",
    [
        {"auths": {HOST: AUTH}},
        {"auths": {f"https://{HOST}/v1/": AUTH}},
        {"auths": {f"http://{HOST}/v2/": AUTH}},
        {"auths": {f"{HOST}/v2/": AUTH}},
        {"auths": {f"https://{HOST}": {}, HOST: AUTH}},
        {"auths": {HOST.upper(): AUTH}},
        {"auths": {HOST: {"auth": f"{AUTH['auth'][:8]}\n{AUTH['auth'][8:]}\n"}}},
        {"auths": {HOST: {"username": "someone", "password": "a word"}}},
        {"auths": {HOST: AUTH, "broken.example.org": {"auth": "*"}, "odd.example.org": 7}},
        {"auths": {HOST: AUTH}, "credsStore": "", "credHelpers": None},
        {"auths": {HOST: AUTH}, "credHelpers": {HOST: ""}, "credsStore": "absent"},
        {"auths": {HOST: AUTH}, "credHelpers": {"another.example.org": "absent"}},
        {"auths": {HOST: AUTH}, "credsStore": "nothing"},
        {"credsStore": "made"},
        {"credsStore": "made", "auths": {HOST: {}}},
        {"credHelpers": {HOST: "made"}},
        {"credHelpers": {f"https://{HOST}/v1/": "made"}},
        {"credHelpers": {HOST: "made"}, "credsStore": "absent"},
        {"credHelpers": {"another.example.org": "nothing"}, "credsStore": "made"},
    ],
)
def test_they_are_found_wherever_docker_keeps_them(
    configure: Configure, document: dict[str, Any]
) -> None:
    configure(document, made=HELPER % "someone", nothing=NOTHING)
    assert credentials_of(HOST) == OURS


@pytest.mark.parametrize(
    "document",
    [
        "",
        {},
        {"auths": None},
        {"auths": {HOST: {}}},
        {"auths": {HOST: None}},
        {"auths": {HOST: {"auth": "", "email": "a@example.org"}}},
        {"auths": {f"{HOST}0": AUTH, f"a{HOST}": AUTH, HOST.partition(":")[0]: AUTH}},
        {"credsStore": "nothing"},
        {"credsStore": "empty"},
        {"credsStore": "complains"},
        {"credHelpers": {HOST: "nothing"}, "credsStore": "made"},
    ],
)
def test_who_has_not_logged_in_has_none(
    configure: Configure, document: dict[str, Any] | str
) -> None:
    configure(
        document,
        made=HELPER % "someone",
        nothing=NOTHING,
        empty="""#!/bin/sh\necho '{"ServerURL": "", "Username": "", "Secret": ""}'\n""",
        complains="#!/bin/sh\necho Credentials not found for it >&2; exit 1\n",
    )
    assert credentials_of(HOST) is None


def test_no_other_folder_is_looked_into(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure({"auths": {HOST: AUTH}})
    (tmp_path / ".docker").mkdir()
    (tmp_path / "config.json").rename(tmp_path / ".docker" / "config.json")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert credentials_of(HOST) is None
    monkeypatch.delenv("DOCKER_CONFIG")
    assert credentials_of(HOST) == OURS


@pytest.mark.parametrize(
    ("document", "known"),
    [
        ({"auths": {HOST: {"identitytoken": "x"}}}, Credentials(identity_token="x")),
        (
            {"auths": {HOST: {**AUTH, "identitytoken": "x"}}},
            Credentials("someone", "a word", identity_token="x"),
        ),
        ({"auths": {HOST: {"registrytoken": "x"}}}, Credentials(registry_token="x")),
        ({"credsStore": "made"}, Credentials(identity_token="a word")),
    ],
)
def test_tokens_are_told_from_passwords_by_everybody(
    configure: Configure, document: dict[str, Any], known: Credentials
) -> None:
    configure(document, made=HELPER % "<token>")
    assert credentials_of(HOST) == known
    assert "a word" not in repr(credentials_of(HOST))
    told = told_to_an_engine(HOST)
    assert told is not None
    assert told["identitytoken"] == known.identity_token
    assert told["registrytoken"] == known.registry_token
    with only_for([HOST], {}) as environment:
        text = Path(environment["DOCKER_CONFIG"], "config.json").read_text()
        handed = json.loads(text)["auths"][HOST]
    assert handed.get("identitytoken", "") == known.identity_token
    assert handed.get("registrytoken", "") == known.registry_token
    assert ("auth" in handed) == bool(known.username)


WRONG: dict[str, tuple[Any, str]] = {
    "no such helper": (
        {"credsStore": "absent"},
        "credsStore names docker-credential-absent, which is not on the PATH",
    ),
    "no such helper of its own": (
        {"credHelpers": {HOST: "absent"}, "credsStore": "made"},
        f"credHelpers '{HOST}' names docker-credential-absent, which is not on the PATH",
    ),
    "a helper that fails": (
        {"credsStore": "fails"},
        "credsStore names docker-credential-fails, which failed (the keyring is locked)",
    ),
    "a helper that fails and tells the other stream": (
        {"credsStore": "mumbles"},
        "credsStore names docker-credential-mumbles, which failed (no bus)",
    ),
    "a helper that fails without a word": (
        {"credHelpers": {HOST: "mute"}},
        f"credHelpers '{HOST}' names docker-credential-mute, which failed (exit status 3 and ",
    ),
    "a helper that cannot be run": (
        {"credsStore": "odd"},
        "credsStore names docker-credential-odd, which cannot be started (Exec format error)",
    ),
    "a helper without a name": ({"credsStore": ["made"]}, "credsStore does not name a helper"),
    "a helper that is a number": (
        {"credHelpers": {HOST: 7}},
        f"credHelpers '{HOST}' does not name a helper",
    ),
    "helpers that are a list": ({"credHelpers": [HOST]}, "credHelpers is no table of registries"),
    "a helper that says nothing": ({"credsStore": "silent"}, SAYS_NONE % "silent"),
    "a helper that speaks no JSON": ({"credsStore": "talks"}, SAYS_NONE % "talks"),
    "a helper that says a list": ({"credsStore": "lists"}, SAYS_NONE % "lists"),
    "a helper that says half": ({"credsStore": "half"}, SAYS_NONE % "half"),
    "a helper that says numbers": ({"credsStore": "numbers"}, SAYS_NONE % "numbers"),
    "a helper that writes no text": ({"credsStore": "bytes"}, SAYS_NONE % "bytes"),
    "no base64": ({"auths": {HOST: {"auth": "a word!"}}}, NO_BASE64),
    "base64 that was cut": ({"auths": {HOST: {"auth": AUTH["auth"][:-2]}}}, NO_BASE64),
    "base64 of no text": ({"auths": {HOST: {"auth": "//79Og=="}}}, NO_BASE64),
    "no letters": ({"auths": {HOST: {"auth": "\u00e4\u00e4\u00e4\u00e4"}}}, NO_BASE64),
    "base64 of a user alone": ({"auths": {HOST: {"auth": "c29tZW9uZQ=="}}}, NO_BASE64),
    "base64 of a password alone": ({"auths": {HOST: {"auth": "OmEgd29yZA=="}}}, NO_BASE64),
    "an auth that is a number": ({"auths": {HOST: {"auth": 7}}}, NO_BASE64),
    "an identity token that is a list": (
        {"auths": {HOST: {"identitytoken": ["x"]}}},
        f"auths '{HOST}' has something else than a text as identitytoken",
    ),
    "an entry that is a text": (
        {"auths": {f"https://{HOST}/v1/": AUTH["auth"]}},
        f"auths 'https://{HOST}/v1/' is no JSON object",
    ),
    "entries that are a list": ({"auths": [AUTH]}, "auths is no table of registries"),
    "a list": ([], "is not Docker's configuration: it holds no JSON object"),
    "no JSON": ("auths:", "is no JSON that Docker wrote"),
    "half of it": ('{"auths": {', "is no JSON that Docker wrote"),
    "too deep": ("[" * 200_000, "is no JSON that Docker wrote"),
}


@pytest.mark.parametrize("name", WRONG)
def test_those_that_cannot_be_used_are_a_sentence_with_their_place(
    configure: Configure, tmp_path: Path, name: str
) -> None:
    document, words = WRONG[name]
    says = {
        "silent": "",
        "talks": "a word",
        "lists": "[]",
        "half": '{"Username": "someone"}',
        "numbers": '{"Username": 1, "Secret": 2}',
        "bytes": "\\377\\376",
    }
    configure(
        document,
        made=HELPER % "someone",
        fails="#!/bin/sh\necho the keyring is locked; exit 1\n",
        mumbles="#!/bin/sh\necho no bus >&2; exit 1\n",
        mute="#!/bin/sh\nexit 3\n",
        odd="\0\1",
        **{helper: f"#!/bin/sh\nprintf '{text}'\n" for helper, text in says.items()},
    )
    for ask in (credentials_of, told_to_an_engine):
        with pytest.raises(RegistryError) as found:
            ask(HOST)
        said = str(found.value)
        place = f"{tmp_path / 'config.json'}"
        assert said.startswith((f"{place}: {words}", f"{place} {words}"))
        assert HOST in said
        assert "\n" not in said
        assert "a word" not in said


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("folder", "Is a directory"),
        ("loop", "Too many levels of symbolic links"),
        ("file", "Not a directory"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, reason: str
) -> None:
    path = tmp_path / kind / "config.json"
    monkeypatch.setenv("DOCKER_CONFIG", str(path.parent))
    if kind == "folder":
        path.mkdir(parents=True)
    elif kind == "loop":
        path.parent.mkdir()
        path.symlink_to("config.json")
    else:
        path.parent.touch()
    for ask in (credentials_of, told_to_an_engine):
        with pytest.raises(RegistryError) as found:
            ask(HOST)
        assert str(found.value).startswith(f"{path} cannot be read ({reason}), ")


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "config.json")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert credentials_of(HOST) is None
    assert told_to_an_engine(HOST) is None


def test_the_sdk_is_told_dockers_proxies_for_containers_and_no_more(configure: Configure) -> None:
    told = {"httpProxy": "http://proxy.example.org", "noProxy": "a.example.org"}
    proxies = {"default": {**told, "httpsProxy": 7}, "tcp://127.0.0.1:1": "odd"}
    configure({"auths": {"broken.example.org": {"auth": "*"}}, "proxies": proxies})
    engine = Asking("tcp://127.0.0.1:1", None, "1.44", 1)
    assert engine._proxy_configs.get_environment() == {
        name: told[key]
        for key, upper in (("httpProxy", "HTTP_PROXY"), ("noProxy", "NO_PROXY"))
        for name in (upper, upper.lower())
    }
    engine.close()


def test_cosign_is_handed_what_it_needs_and_waits_for_no_helper(
    configure: Configure, tmp_path: Path
) -> None:
    cosign = tmp_path / "cosign"
    cosign.write_text(
        f'#!/bin/sh\n{COSIGN_VERSION}\ncat "$DOCKER_CONFIG/config.json" > "$0.told"\n'
    )
    cosign.chmod(0o755)
    told = tmp_path / "cosign.told"
    ours = Cosign(RegistryAddress.parse(HOST), os.environ)
    broken = {"broken.example.org": {"auth": "*"}}
    configure({"auths": broken, "credsStore": "made"}, made=HELPER % "<token>")
    ours.verify(f"{HOST}/some/image@{DIGEST}", Trust("cosign.pub"))
    assert json.loads(told.read_text()) == {"auths": {HOST: {"identitytoken": "a word"}}}
    configure({"credsStore": "absent"})
    with pytest.raises(RegistryError, match=r"config\.json: credsStore names docker-cred"):
        ours.verify(f"{HOST}/some/image@{DIGEST}", Trust("cosign.pub"))
    # What lies here already needs no registry.
    (tmp_path / "index.json").write_text('{"manifests": []}')
    ours.verify(DIGEST, Trust("cosign.pub"), layout=tmp_path)
    assert json.loads(told.read_text()) == {"auths": {}}


def test_a_name_of_the_lock_says_why_nobody_could_be_asked(configure: Configure) -> None:
    configure({"credsStore": "absent"})
    engine = Engine("tcp://127.0.0.1:1", Version("29"), "1.44", {})
    with pytest.raises(Unresolved, match=r"config\.json: credsStore names docker-credential-abs"):
        digest_by_engine(f"{HOST}/some/image:t", engine)


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
