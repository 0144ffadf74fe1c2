"""The engine that is meant is the one that Docker's own command would talk to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from docker_contexts import make_context, use_context
from rocm_images.engine import endpoint
from rocm_images.engine.endpoint import CHOOSES, endpoint_of, is_expected
from rocm_images.errors import EngineError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home with two contexts, one of them current, on a machine without an engine."""
    monkeypatch.setattr(endpoint, "DEFAULT_SOCKET", tmp_path / "var" / "docker.sock")
    folder = tmp_path / "home" / ".docker"
    make_context(folder, "current", "tcp://current:2375")
    make_context(folder, "other", "tcp://other:2375")
    use_context(folder, "current")
    return tmp_path / "home"


def told(home: Path, **variables: str) -> dict[str, str]:
    return {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), **variables}


@pytest.mark.parametrize(
    ("variables", "address", "source"),
    [
        ({}, "tcp://current:2375", "context current"),
        ({"DOCKER_CONTEXT": ""}, "tcp://current:2375", "context current"),
        ({"DOCKER_CONTEXT": "other"}, "tcp://other:2375", "context other"),
        (
            {"DOCKER_HOST": "tcp://a:1", "DOCKER_CONTEXT": "other"},
            "tcp://a:1",
            "DOCKER_HOST",
        ),
        ({"DOCKER_HOST": "", "DOCKER_CONTEXT": "other"}, "tcp://other:2375", "context other"),
        ({"DOCKER_HOST": "a:2375"}, "tcp://a:2375", "DOCKER_HOST"),
        ({"DOCKER_HOST": "a"}, "tcp://a:2375", "DOCKER_HOST"),
        ({"DOCKER_HOST": "tcp://a"}, "tcp://a:2375", "DOCKER_HOST"),
        ({"DOCKER_HOST": "tcp://a:"}, "tcp://a:2375", "DOCKER_HOST"),
        ({"DOCKER_HOST": "tcp://a/path"}, "tcp://a:2375/path", "DOCKER_HOST"),
        ({"DOCKER_HOST": "tcp://[::1]"}, "tcp://[::1]:2375", "DOCKER_HOST"),
        ({"DOCKER_HOST": "tcp://:23755"}, "tcp://localhost:23755", "DOCKER_HOST"),
        ({"DOCKER_HOST": ":23755"}, "tcp://localhost:23755", "DOCKER_HOST"),
        ({"DOCKER_HOST": "tcp://"}, "tcp://localhost:2375", "DOCKER_HOST"),
        ({"DOCKER_HOST": " unix:///a "}, "unix:///a", "DOCKER_HOST"),
        ({"DOCKER_HOST": "unix://"}, "unix://{home}/../var/docker.sock", "DOCKER_HOST"),
        ({"DOCKER_CONTEXT": "default"}, "unix://{home}/../var/docker.sock", "Docker's default"),
    ],
)
def test_docker_host_wins_over_docker_context_over_the_current_one(
    home: Path, variables: dict[str, str], address: str, source: str
) -> None:
    found = endpoint_of(told(home, **variables))
    assert (found.address, found.source) == (
        address.replace("{home}/..", str(home.parent)),
        source,
    )
    assert found.tls is None


def test_docker_config_names_another_folder_and_the_homes_is_not_asked_beside_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the folder has without any config.json counts; the one that a program starts in does not.
    folder = tmp_path / "configuration"
    make_context(folder, "other", "tcp://elsewhere:2375")
    make_context(tmp_path / "here", "astray", "tcp://astray:2375")
    monkeypatch.chdir(tmp_path / "here")
    environment = told(home, DOCKER_CONFIG=str(folder))
    assert endpoint_of(environment).source == "Docker's default"
    assert endpoint_of({**environment, "DOCKER_CONTEXT": "other"}).address.startswith("tcp://else")
    with pytest.raises(EngineError, match=f"does not exist in {folder}"):
        endpoint_of({**environment, "DOCKER_CONTEXT": "current"})
    with pytest.raises(EngineError, match="DOCKER_CONTEXT names the docker context astray, which"):
        endpoint_of({**environment, "DOCKER_CONTEXT": "astray"})


def test_a_current_context_that_does_not_exist_is_named_with_its_file(home: Path) -> None:
    use_context(home / ".docker", "gone")
    with pytest.raises(
        EngineError,
        match=rf"{home}/\.docker/config\.json names the docker context gone, which does not exist "
        ".*`docker context use`, DOCKER_CONTEXT or DOCKER_HOST",
    ) as caught:
        endpoint_of(told(home))
    assert caught.value.exit_code == 3
    # What is named beside it is not in its way.
    assert endpoint_of(told(home, DOCKER_CONTEXT="other")).source == "context other"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        '{"Endpoints": []}',
        '{"Endpoints": {"kubernetes": {}}}',
        '{"Endpoints": {"docker": "tcp://a:1"}}',
        '{"Endpoints": {"docker": {"Host": 7}}}',
        '{"Endpoints": {"docker": {"Host": ""}}}',
        '{"Endpoints": {"docker": {}}}',
        "\udcff",
    ],
)
def test_a_context_whose_file_is_broken_is_named_with_its_file(home: Path, content: str) -> None:
    meta = make_context(home / ".docker", "other", "tcp://a:1")
    meta.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(EngineError) as caught:
        endpoint_of(told(home, DOCKER_CONTEXT="other"))
    assert str(meta) in str(caught.value)
    assert "`docker context rm`" in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"currentContext": 7}', "\udcff"])
def test_a_broken_configuration_has_no_context_as_for_docker(
    home: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = home / ".docker" / "config.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    assert endpoint_of(told(home)).source == "Docker's default"
    assert (f"{path} cannot be read" in capsys.readouterr().err) == (
        content[:1] != "{" or content == "{"
    )


@pytest.mark.parametrize("name", ["a\udcff", "x" * 5000, "a/../../b", "a\nb"])
def test_a_context_may_be_called_anything(home: Path, name: str) -> None:
    with pytest.raises(EngineError, match="does not exist") as caught:
        endpoint_of(told(home, DOCKER_CONTEXT=name))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("variables", "source"),
    [
        ({"DOCKER_HOST": "ssh://me@gpu-node:22"}, "DOCKER_HOST"),
        ({"DOCKER_CONTEXT": "far"}, "context far"),
    ],
)
def test_ssh_is_refused_with_the_command_that_brings_the_socket_here(
    home: Path, variables: dict[str, str], source: str
) -> None:
    make_context(home / ".docker", "far", "ssh://me@gpu-node:22")
    with pytest.raises(EngineError) as caught:
        endpoint_of(told(home, **variables))
    said = str(caught.value)
    assert said.startswith(f"{source} names ssh://me@gpu-node:22, and")
    assert f"ssh -nNT -p 22 -L $HOME/docker.sock:{endpoint.DEFAULT_SOCKET} me@gpu-node &" in said
    assert "DOCKER_HOST=unix://$HOME/docker.sock" in said
    assert "install" not in said


@pytest.mark.parametrize(
    "address",
    [
        "/var/run/docker.sock",
        "npipe:////./pipe/docker_engine",
        "fd://",
        "http://a:1",
        "tcp:///var/run/docker.sock",
        "tcp://a:0",
        "tcp://a:b",
        "tcp://a:99999",
        "tcp://[::1",
        "unix://docker.sock",
    ],
)
def test_what_is_no_address_is_refused_with_what_one_is(home: Path, address: str) -> None:
    with pytest.raises(
        EngineError, match=r"no address .* unix:///PATH/docker\.sock or tcp://HOST:"
    ):
        endpoint_of(told(home, DOCKER_HOST=address))


@pytest.mark.parametrize("address", ["tcp://", "tcp://a"])
def test_a_contexts_address_is_not_completed(home: Path, address: str) -> None:
    """As docker goes by it: to the ports of HTTP, where no engine is."""
    make_context(home / ".docker", "other", address)
    with pytest.raises(EngineError, match=f"context other names {address}, which is no address"):
        endpoint_of(told(home, DOCKER_CONTEXT="other"))


def test_docker_takes_the_same_port_with_tls_where_a_host_is_named(home: Path) -> None:
    (home / ".docker" / "ca.pem").touch()
    found = endpoint_of(told(home, DOCKER_HOST="tcp://a", DOCKER_TLS_VERIFY="1"))
    assert (found.address, found.variables["DOCKER_HOST"]) == ("tcp://a:2375", "tcp://a:2375")
    assert found.tls is not None


@pytest.mark.parametrize("variable", ["DOCKER_TLS", "DOCKER_TLS_VERIFY"])
def test_what_asks_for_tls_without_a_host_is_named(home: Path, variable: str) -> None:
    (home / ".docker" / "ca.pem").touch()
    found = endpoint_of(told(home, **{"DOCKER_CONTEXT": "default", variable: "1"}))
    assert (found.address, found.source) == ("tcp://localhost:2376", variable)


@pytest.mark.parametrize("default", [True, False])
def test_a_rootless_socket_is_taken_where_the_default_one_is_not(home: Path, default: bool) -> None:
    (home / ".docker" / "config.json").unlink()
    (home / "run").mkdir()
    (home / "run" / "docker.sock").touch()
    if default:
        endpoint.DEFAULT_SOCKET.parent.mkdir()
        endpoint.DEFAULT_SOCKET.touch()
    found = endpoint_of(told(home))
    expected = endpoint.DEFAULT_SOCKET if default else home / "run" / "docker.sock"
    assert found.address == f"unix://{expected}"
    assert (found.source == "the rootless engine's socket") is not default
    without = {"HOME": str(home)}
    assert endpoint.rootless_socket(without) == Path(f"/run/user/{os.getuid()}/docker.sock")


def test_what_is_started_reaches_the_same_engine(home: Path) -> None:
    folder = home / "certificates"
    folder.mkdir()
    (folder / "ca.pem").touch()
    noise = {"DOCKER_CERT_PATH": str(folder), "PATH": "/bin", "LANG": "C"}

    def chosen(**variables: str) -> dict[str, str]:
        given = told(home, **{**noise, **variables})
        there = endpoint_of(given).environment(given)
        assert (there["PATH"], there["LANG"], there["HOME"]) == ("/bin", "C", str(home))
        return {name: there[name] for name in CHOOSES if name in there}

    tcp = "tcp://a:2376"
    assert chosen() == {"DOCKER_CONTEXT": "current"}
    assert chosen(DOCKER_CONTEXT="other", DOCKER_TLS_VERIFY="1") == {"DOCKER_CONTEXT": "other"}
    assert chosen(DOCKER_HOST=tcp, DOCKER_CONTEXT="other") == {"DOCKER_HOST": tcp}
    assert chosen(DOCKER_HOST="unix:///a", DOCKER_TLS_VERIFY="1") == {"DOCKER_HOST": "unix:///a"}
    tls = {"DOCKER_HOST": tcp, "DOCKER_CERT_PATH": str(folder)}
    # Any value but none asks for it, as docker has it.
    assert chosen(DOCKER_HOST=tcp, DOCKER_TLS_VERIFY="0") == {**tls, "DOCKER_TLS_VERIFY": "1"}
    assert chosen(DOCKER_HOST=tcp, DOCKER_TLS="1") == {**tls, "DOCKER_TLS": "1"}
    assert chosen(DOCKER_HOST=tcp, DOCKER_TLS_VERIFY="") == {"DOCKER_HOST": tcp}
    default = chosen(DOCKER_CONTEXT="default", DOCKER_TLS_VERIFY="1")
    assert default == {**tls, "DOCKER_HOST": "tcp://localhost:2376", "DOCKER_TLS_VERIFY": "1"}


def test_an_engine_is_expected_where_anything_names_one(home: Path, tmp_path: Path) -> None:
    nothing = told(tmp_path / "nobody")
    assert not is_expected(nothing)
    for name in CHOOSES:
        assert is_expected({**nothing, name: "x"})
    assert is_expected(told(home))
    (home / "run").mkdir()
    (home / "run" / "docker.sock").touch()
    assert is_expected({**nothing, "XDG_RUNTIME_DIR": str(home / "run")})
