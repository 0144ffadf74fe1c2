"""Behind a company's CA `lock` asks registries and git servers, once it is told of the CA."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trustme
from click.testing import CliRunner, Result
from docker.errors import APIError

from made_up_registry import MadeUpRegistry, Request
from rocm_images.cli.main import main
from rocm_images.engine.network import CA_VARIABLES
from rocm_images.errors import LockDrift, LockIncomplete
from rocm_images.lock import upstream
from rocm_images.lock.changes import Wanted
from rocm_images.lock.upstream import GIT_CA_BUNDLE, Unresolved, Upstream, resolve
from rocm_images.registry import retries

HOST = "registry.example.org"
DIGEST, COMMIT = f"sha256:{'1' * 64}", "2" * 40
ADVICE = "name the CA with --ca-bundle"
BUILDX = f"""\
#!/bin/sh
test "$1" = version && echo github.com/docker/buildx v0.13.1 && exit
if test "$SSL_CERT_FILE" = {{bundle}}; then echo '{{{{"digest": "{DIGEST}"}}}}'; exit; fi
echo 'ERROR: tls: failed to verify certificate: x509: certificate signed by unknown authority' >&2
exit 1
"""


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "a folder" / "ca.pem"
    path.parent.mkdir()
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def company(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[MadeUpRegistry, list[str]]]:
    """A registry with one newer base and a git server with one newer release, by TLS.

    What it is asked for first is answered by what stands in the list.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", HOST).configure_cert(context)
    asked_for = socket.getaddrinfo

    def found(host: Any, *given: Any, **more: Any) -> Any:
        return asked_for("127.0.0.1" if host == HOST else host, *given, **more)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    failing: list[str] = []

    def answer(request: Request) -> None:
        if request.path in failing:
            failing.remove(request.path)
            request.answer(b"", 503)
        elif request.path.startswith("/v2/rocm/pytorch/tags/list"):
            names = ["rocm7.2.2_py3.10_torch2.9.1", "rocm7.3_py3.12_torch2.10.0"]
            request.answer(json.dumps({"tags": names}).encode())
        elif request.path.startswith("/sglang.git/info/refs"):
            # As a server without any program of git's has it.
            refs = "".join(f"{COMMIT}\trefs/tags/v0.5.{patch}\n" for patch in (21, 22))
            request.answer(refs.encode(), Content_Type="text/plain")
        elif request.path == "/sglang.git/HEAD":
            request.answer(b"ref: refs/heads/main\n", Content_Type="text/plain")
        else:
            request.answer(b"", 404)

    with MadeUpRegistry(context) as server:
        server.answers = answer
        yield server, failing


@pytest.fixture
def matrix(
    company: tuple[MadeUpRegistry, list[str]],
    bundle: Path,
    matrix_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Its bases and its server's source are there; no engine answers, and nobody names the CA."""
    port = company[0].port
    image = f"{HOST}:{port}/rocm/pytorch:rocm{{}}_py3.10_torch2.9.1\n"
    buildx = tmp_path / "bin" / "docker-buildx"
    buildx.parent.mkdir()
    buildx.write_text(BUILDX.format(bundle=f"'{bundle}'"))
    buildx.chmod(0o755)
    monkeypatch.setenv("PATH", f"{buildx.parent}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setattr(upstream, "connect_if_any", lambda: None)
    monkeypatch.setattr(retries, "sleep", lambda seconds: None)
    for name in (*CA_VARIABLES, "CURL_CA_BUNDLE", GIT_CA_BUNDLE):
        monkeypatch.delenv(name, raising=False)
    return matrix_file(
        ("rocm/pytorch:rocm7.2\n", image.format("7.2")),
        ("rocm/pytorch:rocm7.2.2\n", image.format("7.2.2")),
        ("https://example.org/sglang.git", f"https://127.0.0.1:{port}/sglang.git"),
    )


def lock(path: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["lock", f"--matrix={path}", *words])


def asks_everybody(path: Path, *words: str) -> None:
    assert lock(path, *words).exception is None
    answer = lock(path, "--check", *words)
    assert answer.exception is None
    assert "newer base 7.3.0" in answer.stdout
    assert "newer release of sglang: v0.5.22" in answer.stdout
    assert answer.stderr == ""


def test_with_the_option_registry_and_git_server_answer(matrix: Path, bundle: Path) -> None:
    asks_everybody(matrix, f"--ca-bundle={bundle}")


def test_with_its_variable_they_do_too(
    matrix: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROCM_IMAGES_CA_BUNDLE", str(bundle))
    asks_everybody(matrix)


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_what_other_programs_are_told_vouches_for_lists_of_tags_and_for_no_git_server(
    matrix: Path, bundle: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(bundle))
    answer = lock(matrix, "--check")
    assert "newer base 7.3.0" in answer.stdout
    said = [line for line in answer.stderr.splitlines() if "certificate" in line]
    # The source and the list of its tags; the two bases, unless buildx reads the variable itself.
    assert len(said) == (2 if variable == "SSL_CERT_FILE" else 4)
    assert all(ADVICE in line for line in said)


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_what_other_programs_are_told_leaves_gits_own_ca(
    matrix: Path,
    bundle: Path,
    tmp_path: Path,
    variable: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    assert lock(matrix, f"--ca-bundle={bundle}").exception is None
    settings = tmp_path / ".gitconfig"
    settings.write_text(f'[http]\n\tsslCAInfo = "{bundle}"\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv(variable, str(other))
    address = Wanted(next(iter(lock_entries(matrix))), (), git=True)
    assert Upstream.here(None, 1).answer(address) == COMMIT
    # What is named for this program comes before both.
    with pytest.raises(Unresolved, match="certificate"):
        Upstream.here(other, 1).answer(address)


def test_where_nobody_named_it_each_sentence_says_what_helps(matrix: Path) -> None:
    answer = lock(matrix, "--check", f"--report={matrix.parent}/page.md")
    assert isinstance(answer.exception, LockDrift)
    said = [line for line in answer.stderr.splitlines() if "certificate" in line]
    # The lists of both; two bases; one source.
    assert len(said) == 5
    assert all(ADVICE in line for line in said)
    # Nobody can write that before the name of an image.
    assert "write http://" not in answer.stderr
    assert (matrix.parent / "page.md").read_text().count(ADVICE) == 5
    failed = lock(matrix)
    assert isinstance(failed.exception, LockIncomplete)


def test_a_bundle_that_is_none_is_refused_before_anybody_is_asked(
    matrix: Path, company: tuple[MadeUpRegistry, list[str]], tmp_path: Path
) -> None:
    (tmp_path / "none.pem").write_text("nothing")
    answer = lock(matrix, f"--ca-bundle={tmp_path}/none.pem")
    assert "holds no certificate (PEM)" in str(answer.exception)
    assert company[0].asked == []


def test_what_is_named_comes_before_what_git_was_told_but_of_one_address(
    matrix: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv(GIT_CA_BUNDLE, str(other))
    assert "1 of 5 names could not be resolved" in str(lock(matrix).exception)
    asks_everybody(matrix, f"--ca-bundle={bundle}")
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv(GIT_CA_BUNDLE, str(bundle))
    address = Wanted(next(iter(lock_entries(matrix))), (), git=True)
    assert Upstream.here(None, 1).answer(address) == COMMIT
    monkeypatch.delenv(GIT_CA_BUNDLE)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"http.{address.key.partition('#')[0]}.sslCAInfo")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(bundle))
    assert Upstream(None, named_ca_bundle=other).answer(address) == COMMIT


def lock_entries(matrix: Path) -> list[str]:
    from rocm_images.lock.file import read

    return [one for one in read(matrix.with_suffix(".lock")).sources if one.endswith("#v0.5.21")]


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_server_that_fails_once_is_asked_again(
    matrix: Path, bundle: Path, company: tuple[MadeUpRegistry, list[str]], attempts: int
) -> None:
    assert lock(matrix, f"--ca-bundle={bundle}").exception is None
    tags, refs = (
        "/v2/rocm/pytorch/tags/list?n=1000",
        "/sglang.git/info/refs?service=git-upload-pack",
    )
    company[1][:] = [tags, refs]
    answer = lock(matrix, "--check", f"--ca-bundle={bundle}", f"--attempts={attempts}")
    assert ("newer base 7.3.0" in answer.stdout) == (attempts == 2)
    assert company[1] == []
    assert answer.stderr.count("attempt 2 of 2") == (2 if attempts == 2 else 0)


def test_what_cannot_pass_is_asked_once(matrix: Path) -> None:
    answer = lock(matrix, "--check", "--attempts=3")
    assert "attempt" not in answer.stderr


def test_an_engine_that_does_not_trust_it_is_to_be_told_itself() -> None:
    words = "tls: failed to verify certificate: x509: certificate signed by unknown authority"

    def asks(_: str) -> None:
        raise APIError("500", cast(Any, SimpleNamespace(status_code=500)), words)

    images = SimpleNamespace(get_registry_data=asks)
    client = SimpleNamespace(images=images, close=lambda: None)
    engine = SimpleNamespace(client=lambda seconds: client)
    one = Wanted(f"{HOST}/rocm/pytorch:x", (), git=False)
    reason = resolve([one], Upstream(cast(Any, engine))).unresolved[one]
    assert reason == f"{words}: {upstream._OF_THE_ENGINE}"
    assert "--" not in reason


def test_what_a_server_says_is_one_line_with_an_end() -> None:
    error = Unresolved(f"no\nbuild.py: all is well\x1b[2J{'x' * 10_000_000}", ADVICE)
    assert str(error).startswith("no\\nbuild.py: all is well\\u001b[2Jxxx")
    assert str(error).endswith(f"x: {ADVICE}")
    assert len(str(error)) < 1100


@pytest.mark.parametrize(
    ("reason", "passes"),
    [
        ("unexpected status from HEAD request to https://r/v2/: 503 Service Unavailable", True),
        ("toomanyrequests: You have reached your pull rate limit", True),
        ("unable to access 'https://g/': The requested URL returned error: 502", True),
        ("dial tcp 127.0.0.1:503: connect: connection refused", True),
        ("Failed to connect to g port 443 after 0 ms: Couldn't connect to server", True),
        ("dial tcp: lookup r.example.org: no such host", False),
        ("unable to access 'https://g:503/': Could not resolve host: g", False),
        ("not found in its registry: manifest unknown", False),
        ("x509: certificate signed by unknown authority: 503", False),
    ],
)
def test_what_may_pass_is_told_by_the_words(reason: str, passes: bool) -> None:
    assert upstream._may_pass(Unresolved(reason)) == passes
