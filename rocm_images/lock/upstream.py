"""Asks registries for the digest of a tag, and git servers for the commit of a ref.

The Docker Engine asks the registry where one answers: it alone knows its own certs.d and insecure
registries, as a build does, and it is given the user's credentials; buildx, which asks where no
engine answers, knows the credentials and plain HTTP on loopback. Both buildx and git are told of
the CA bundle that a user named for this program, the engine cannot be.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rocm_images.engine.buildx_program import buildx_command, with_settings
from rocm_images.engine.connect import Engine, connect_if_any
from rocm_images.engine.endpoint import CHOOSES, DEFAULT_SOCKET
from rocm_images.engine.logins import kept_from
from rocm_images.engine.network import ca_bundle_for
from rocm_images.errors import EngineError, RegistryError
from rocm_images.foreign import parsed, shown_line
from rocm_images.lock import file as lock
from rocm_images.lock.changes import Wanted
from rocm_images.pool import Threads
from rocm_images.references import registry_of
from rocm_images.streams import GivenUp
from rocm_images.supervisor import supervisor
from rocm_images.waiting import waiting_for

T = TypeVar("T")
TIMEOUT_SECONDS = 30.0
MOST_BYTES = 16 * 1024 * 1024
"""Of an answer: a server has no more to say."""
QUESTIONS_AT_ONCE = 8
_LONGEST_REASON = 1000
"""Characters."""
GIT_CA_BUNDLE = "GIT_SSL_CAINFO"
_TAGS = "refs/tags/"
_REF_LINE = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\t(\S+)")


# As git, Docker and Go say it: a server that is busy or restarts, or a line that broke.
_MAY_PASS = re.compile(
    r": (?:429|5\d\d)\b|toomanyrequests|Couldn't connect to server"
    r"|connection (?:refused|reset|timed out)|i/o timeout|TLS handshake timeout|unexpected EOF"
    r"|temporary failure",
    re.IGNORECASE,
)
_OF_A_BUNDLE = "name the CA with --ca-bundle"
_OF_THE_ENGINE = "the engine trusts what its own system and its certs.d have: put the CA there"
_UNTRUSTED = re.compile(r"x509|certificate", re.IGNORECASE)


class Unresolved(Exception):
    """A name that could not be resolved, with the reason in words, and what helps."""

    def __init__(self, reason: str, advice: str = "") -> None:
        # It may be a server's: on one line, which has an end, as behind long addresses reasons are.
        self.reason = shown_line(reason[:_LONGEST_REASON])
        super().__init__(f"{self.reason}: {advice}" if advice else self.reason)
        self.advice = advice


@dataclass(frozen=True)
class Resolution:
    """What was found, and for everything else the reason why not."""

    found: Mapping[Wanted, str]
    unresolved: Mapping[Wanted, str]


@dataclass(frozen=True)
class Upstream:
    """The registries and git servers, as they are reached from here."""

    engine: Engine | None
    """The engine that asks registries; None: buildx asks them."""
    ca_bundle: Path | None = None
    """Of lists of tags, which this program reads itself; None: what it trusts by itself."""
    named_ca_bundle: Path | None = None
    """Of buildx and git; None: what each trusts by its own settings."""
    attempts: int = 1
    """How often a question is asked that a server fails."""

    @classmethod
    def here(
        cls, ca_bundle: Path | None, attempts: int, environment: Mapping[str, str] = os.environ
    ) -> Upstream:
        """Through the engine that answers here, if any, with the bundle that a user named.

        Raises:
            InputError: the bundle, or the one that the environment names, cannot be used.
        """
        found = ca_bundle_for(ca_bundle, environment)
        # What others are told of by variables, as pip of its mirror's CA, is to vouch for no git
        # server, and would take the place of what git's own settings have.
        return cls(connect_if_any(), found, ca_bundle, attempts)

    def answer(self, one: Wanted) -> str:
        """The digest or commit that one name stands for.

        Raises:
            Unresolved: nobody can be asked, does not answer, or does not have it.
            Stopped: the run is being stopped.
        """
        if one.fixed:
            return one.fixed
        if one.git:
            address, _, ref = one.key.partition("#")
            return self._asked(address, lambda: commit_of(address, ref, self.named_ca_bundle))
        engine, host = self.engine, registry_of(one.key)
        if engine:
            return self._asked(host, lambda: digest_by_engine(one.key, engine), _OF_THE_ENGINE)
        return self._asked(host, lambda: digest_by_buildx(one.key, self.named_ca_bundle))

    def tags_at(self, address: str) -> tuple[str, ...]:
        """The names of the tags of a git repository.

        Raises:
            Unresolved: git is missing, or the repository cannot be read.
            Stopped: the run is being stopped.
        """
        return self._asked(address, lambda: tags_at(address, self.named_ca_bundle))

    def _asked(self, whom: str, question: Callable[[], T], advice: str = _OF_A_BUNDLE) -> T:
        """The answer, after as many attempts as can help; where a CA is missing, with `advice`."""
        from rocm_images.registry.retries import Retries

        try:
            with waiting_for(whom) as wait:
                return Retries(self.attempts).call(question, _may_pass, wait)
        except Unresolved as error:
            raise Unresolved(error.reason, advice if _is_untrusted(error) else "") from None


def resolve(wanted: Sequence[Wanted], upstream: Upstream) -> Resolution:
    """Resolve everything that is wanted, at most QUESTIONS_AT_ONCE at a time."""
    found: dict[Wanted, str] = {}
    unresolved: dict[Wanted, str] = {}

    def work(one: Wanted) -> None:
        try:
            found[one] = upstream.answer(one)
        except Unresolved as error:
            unresolved[one] = str(error)

    with Threads(QUESTIONS_AT_ONCE) as pool:
        list(pool.map(work, wanted))
    return Resolution(
        {one: found[one] for one in wanted if one in found},
        {one: unresolved[one] for one in wanted if one in unresolved},
    )


def digest_by_engine(image: str, engine: Engine) -> str:
    """The digest that a tag has in its registry; the engine asks, with the user's credentials.

    Raises:
        Unresolved: the engine or the registry does not say; the reason is in their words.
    """
    from docker.errors import APIError, DockerException, NotFound
    from requests.exceptions import RequestException

    try:
        client = engine.client(int(TIMEOUT_SECONDS))
        try:
            return _checked(str(client.images.get_registry_data(image).id))
        finally:
            client.close()
    except NotFound as error:
        raise Unresolved(f"not found in its registry: {error.explanation}") from None
    except APIError as error:
        raise Unresolved(str(error.explanation)) from None
    except (DockerException, RequestException, EngineError, RegistryError) as error:
        raise Unresolved(str(error)) from None


def _may_pass(error: BaseException) -> bool:
    known = isinstance(error, Unresolved) and not _is_untrusted(error)
    return known and _MAY_PASS.search(str(error)) is not None


def _is_untrusted(error: Unresolved) -> bool:
    return _UNTRUSTED.search(error.reason) is not None


def digest_by_buildx(image: str, ca_bundle: Path | None = None) -> str:
    """The digest that a tag has in its registry; buildx asks, without any engine.

    Raises:
        Unresolved: buildx is missing or gets no credentials, or the registry does not say.
        Stopped: the run is being stopped.
    """
    try:
        buildx = buildx_command(_without_engine())
    except EngineError as error:
        raise Unresolved(f"no Docker Engine answers, and {error}") from None
    words = [*buildx, "imagetools", "inspect", "--format={{json .Manifest}}", image]
    try:
        # https://pkg.go.dev/crypto/x509#SystemCertPool
        trusted = {"SSL_CERT_FILE": str(ca_bundle.absolute())} if ca_bundle else {}
        answer = _ask(words, {**with_settings(_without_engine()), **trusted})
        return _checked(str(parsed(answer)["digest"]))
    except Unresolved as error:
        raise Unresolved(kept_from(str(error), registry_of(image)) or str(error)) from None
    except (ValueError, KeyError, TypeError):
        raise Unresolved("buildx names no digest for it") from None


def _checked(digest: str) -> str:
    try:
        return lock.digest(digest)
    except ValueError as error:
        raise Unresolved(f"the registry's answer {error}") from None


def commit_of(address: str, ref: str, ca_bundle: Path | None = None) -> str:
    """The commit that a tag or branch of a git repository stands for; a tag comes first.

    Raises:
        Unresolved: git is missing, the repository cannot be read, or it has no such ref.
    """
    # The order in which git itself reads a short name: https://git-scm.com/docs/gitrevisions
    names = [ref] if ref.startswith("refs/") or ref == "HEAD" else []
    names += [f"refs/{ref}", f"refs/tags/{ref}", f"refs/heads/{ref}"]
    # `^{}` is what an annotated tag stands for: its commit, and not the tag object.
    names = [name for plain in names for name in (f"{plain}^{{}}", plain)]
    answer = _ask_git(ca_bundle, "--", address, *names)
    # git matches the end of a name as well, so only exact names count.
    refs = {m[2]: m[1] for m in map(_REF_LINE.fullmatch, answer.splitlines()) if m}
    for name in names:
        if name in refs:
            return refs[name]
    raise Unresolved(
        f"the repository has neither tag nor branch {ref!r} (write a commit with all its digits)"
    )


def tags_at(address: str, ca_bundle: Path | None = None) -> tuple[str, ...]:
    """The names of the tags of a git repository.

    Raises:
        Unresolved: git is missing, or the repository cannot be read.
    """
    answer = _ask_git(ca_bundle, "--tags", "--refs", "--", address)
    names = (m[2] for m in map(_REF_LINE.fullmatch, answer.splitlines()) if m)
    return tuple(name.removeprefix(_TAGS) for name in names if name.startswith(_TAGS))


def _ask_git(ca_bundle: Path | None, *words: str) -> str:
    """What git says of a repository; what its settings have for one address comes first."""
    if ca_bundle is None:
        return _ask(["git", "ls-remote", *words])
    environment = {name: value for name, value in os.environ.items() if name != GIT_CA_BUNDLE}
    trusted = f"http.sslCAInfo={ca_bundle.absolute()}"
    return _ask(["git", "-c", trusted, "ls-remote", *words], environment)


def _without_engine() -> dict[str, str]:
    """An environment in which buildx looks for no context: it would fail where there is none."""
    kept = {name: value for name, value in os.environ.items() if name not in CHOOSES}
    return {**kept, "DOCKER_HOST": f"unix://{DEFAULT_SOCKET}"}


def _ask(words: Sequence[str], environment: Mapping[str, str] = os.environ) -> str:
    """The standard output of a command that asks a server.

    Raises:
        Unresolved: it cannot be started, fails, says too much, or takes longer than
            TIMEOUT_SECONDS.
        Stopped: the run is being stopped.
    """
    # Nobody is there to type a password: git is to fail and say so.
    environment = {**environment, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        answer = supervisor.run(words, environment, seconds=TIMEOUT_SECONDS, most=MOST_BYTES)
    except OSError as error:
        raise Unresolved(f"{words[0]} cannot be started ({error.strerror}): install it") from None
    except GivenUp as error:
        raise Unresolved(str(error)) from None
    if answer.status != 0:
        lines = [line for line in answer.errors.splitlines() if line.strip()]
        said = next((x for x in lines if x.startswith(("fatal: ", "ERROR: "))), None)
        said = said or (lines[-1] if lines else f"{words[0]} ended with {answer.status}")
        raise Unresolved(said.removeprefix("fatal: ").removeprefix("ERROR: "))
    return answer.output
