"""Asks which cosign this is, once and before anything is pushed, signed or verified with it.

Versions 2 and 3 are told to keep what they sign in one format, the one of signatures and statements
that stand beside an image as tags, so that either verifies what the other signed. Of another
version nobody knows what it would write, or count as signed: it is refused.
"""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rocm_images.errors import EngineError
from rocm_images.foreign import shown_line
from rocm_images.streams import GivenUp
from rocm_images.supervisor import supervisor

SECONDS = 30.0
_SIGNING = ("sign", "attest", "sign-blob")
_VERIFYING = ("verify", "verify-attestation", "verify-blob")
# Version 3's own defaults need a transparency log even for a key, and attach a bundle that
# version 2 does not find: https://github.com/sigstore/cosign/blob/main/CHANGELOG.md
_OLD_FORMAT = "--new-bundle-format=false"
_NO_SERVICES = "--use-signing-config=false"
_NO_LOG = "--tlog-upload=false"
_SAID = re.compile(r'^\W*gitversion"?:[ \t]*"?([^\s",]+)', re.IGNORECASE | re.MULTILINE)
_NUMBER = re.compile(r"v?([1-9]\d*)\.(\d+)(?:\.(\d+))?")
# What the Go compiler writes where the builder gave no number, as Debian does not.
_NUMBERLESS = re.compile(r"\(?devel\)?|unknown|v0\.0\.0-\S+")
_GET_ONE = (
    "put cosign 2 or 3 first on the PATH (Debian's package cosign, or "
    "https://docs.sigstore.dev/cosign/system_config/installation/)"
)
_SINCE_REGISTRY_CA = (2, 4, 2)


@dataclass(frozen=True)
class CosignProgram:
    """A cosign that can be spoken with."""

    path: str
    major: int
    number: tuple[int, ...] | None
    """None: it was built without one."""

    def command(self, words: Sequence[str]) -> list[str]:
        """A call of it, told to write, and to count, the format that both versions have."""
        verb, format_words = words[0], []
        if self.major == 3 and verb in _SIGNING:
            format_words = [_NO_SERVICES, _OLD_FORMAT]
        elif self.major == 3 and verb in _VERIFYING:
            format_words = [_OLD_FORMAT]
        return [self.path, verb, *format_words, *words[1:]]

    def check_registry_ca(self) -> None:
        """It can be told whom to trust for the registry's TLS.

        Raises:
            EngineError: it is too old for that.
        """
        if self.number and self.number < _SINCE_REGISTRY_CA:
            raise EngineError(
                f"{self.path} is version {_dotted(self.number)}, which knows no CA of a registry "
                f"(since {_dotted(_SINCE_REGISTRY_CA)}): {_GET_ONE}"
            )


def cosign_program(environment: Mapping[str, str]) -> CosignProgram:
    """The cosign on the PATH.

    Raises:
        EngineError: there is none, it does not say its version, or that is neither 2 nor 3.
    """
    found = shutil.which("cosign", path=environment.get("PATH"))
    if found is None:
        raise EngineError(f"cosign is missing: {_GET_ONE}")
    return _asked(found, frozenset(environment.items()))


@functools.cache
def _asked(path: str, environment: frozenset[tuple[str, str]]) -> CosignProgram:
    status, answer = _answer([path, "version"], environment)
    said = _SAID.search(answer)
    if status != 0 or said is None:
        told = f"; it said: {shown_line(answer.strip().splitlines()[-1])}" if answer.strip() else ""
        raise EngineError(
            f"{path} does not say which version it is (`cosign version` ended with "
            f"{status}{told}): {_GET_ONE}"
        )
    if number := _NUMBER.match(said[1]):
        known = tuple(int(part or 0) for part in number.groups())
        if known[0] in (2, 3):
            return CosignProgram(path, known[0], known)
    elif _NUMBERLESS.fullmatch(said[1]) and (major := _by_options(path, environment)):
        return CosignProgram(path, major, None)
    raise EngineError(
        f"{path} is version {shown_line(said[1])}, and versions 2 and 3 are supported: {_GET_ONE}"
    )


def _by_options(path: str, environment: frozenset[tuple[str, str]]) -> int | None:
    """The major version of a build that has no number, by what its `sign` knows and does alone."""
    sign = [path, "sign", _NO_LOG]
    status, told = _answer([*sign, "--help"], environment)
    if status == 0 and "--tlog-upload=true:" in told and "--use-signing-config=true" not in told:
        return 2
    status, told = _answer([*sign, _OLD_FORMAT, _NO_SERVICES, "--help"], environment)
    if status == 0 and "--use-signing-config=true:" in told:
        return 3
    return None


def _answer(command: list[str], environment: frozenset[tuple[str, str]]) -> tuple[int, str]:
    try:
        answer = supervisor.run(command, dict(environment), seconds=SECONDS)
    except OSError as error:
        raise EngineError(
            f"{command[0]} cannot be started ({error.strerror}): {_GET_ONE}"
        ) from None
    except GivenUp as error:
        raise EngineError(f"{' '.join(command[:2])} gave {error}: {_GET_ONE}") from None
    return answer.status, f"{answer.output}\n{answer.errors}"


def _dotted(number: tuple[int, ...]) -> str:
    return ".".join(map(str, number))
