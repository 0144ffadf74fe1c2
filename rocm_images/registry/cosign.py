"""Signs images and evidence, and verifies both, with cosign.

With a key, signatures need no other server, so that they also hold in an air-gapped site. Keyless
signing uses the identity of whoever runs it (a CI's OIDC token) and the public transparency log.
Credentials of registries are Docker's own; the key's password is COSIGN_PASSWORD.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rocm_images import foreign
from rocm_images.errors import (
    EngineError,
    InputError,
    RegistryError,
    VerificationFailed,
    WriteRefused,
)
from rocm_images.files import refusal_in
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.cosign_version import CosignProgram, cosign_program
from rocm_images.registry.credentials import only_for
from rocm_images.registry.file_signature import NOT_SIGNED, FileSignature, without_key
from rocm_images.registry.layout_signatures import holds_statements, signatures_alone
from rocm_images.registry.trust import Signer, Trust
from rocm_images.streams import GivenUp, TookTooLong
from rocm_images.supervisor import supervisor
from rocm_images.tables import bytes_in_words
from rocm_images.waiting import waiting_for

# https://github.com/sigstore/cosign/blob/main/cmd/cosign/errors/exit_codes.go
_NO_SIGNATURE = 10
_NO_MATCHING_SIGNATURE = 12
# Of a registry, and of a layout.
_NONE_THERE = re.compile(r"^no signatures (found|associated with the image)")
SECONDS = 300.0
MOST_BYTES = 256 * 1024 * 1024
"""Of the attestations of one type of an image: a bill of materials grows by a third in each."""
# These move whole images: some 40 GB.
_MOVING = {"copy": "copies", "save": "saves", "load": "loads"}
# Where cosign then keeps what it attaches, to whichever image.
_ELSEWHERE = "COSIGN_REPOSITORY"
MOVING_SECONDS = 6 * 3600.0
# What cosign says of an attachment that `--replace` is to keep, and cannot read.
_UNREADABLE = re.compile(r"payload data|could not decode 'payload'")


@dataclass(frozen=True)
class Cosign:
    """cosign, as it reaches one registry; None: it verifies files alone."""

    registry: RegistryAddress | None
    environment: Mapping[str, str]
    ca_bundle: Path | None = None

    def __post_init__(self) -> None:
        # Whoever has a Cosign has a program that is supported: nothing is written before that.
        program = self.program
        if self.ca_bundle:
            program.check_registry_ca()

    @cached_property
    def program(self) -> CosignProgram:
        """cosign itself.

        Raises:
            EngineError: it is missing, or its version is not supported.
        """
        return cosign_program(self.environment)

    @property
    def keeps_elsewhere(self) -> bool:
        """Whether what is attached to an image is kept in another repository than the image."""
        return bool(self.environment.get(_ELSEWHERE))

    def sign(self, image: str, signer: Signer, *more: str) -> None:
        """Sign an image by digest, and `more` of them with it: the key is decrypted once.

        Raises:
            RegistryError: a signature cannot be stored; others may have been.
            InputError: the key cannot be used.
        """
        images = (image, *more)
        words = [*signer.arguments, "--yes", *self._registry(), *images]
        self._write("sign", words, ", ".join(images))

    def attest(self, image: str, kind: str, predicate: Mapping[str, Any], signer: Signer) -> None:
        """Attach a signed statement about an image by digest, instead of an older one of its kind.

        Raises: see `sign`.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "predicate.json"
            path.write_text(json.dumps(predicate), encoding="utf-8")
            words = [*signer.arguments, "--yes", "--replace=true", f"--type={kind}"]
            self._write("attest", [*words, f"--predicate={path}", *self._registry(), image], image)

    def public_key(self, signer: Signer, folder: Path) -> Trust:
        """Trust in the signer's own key, which is written to `folder`.

        Raises:
            InputError: the key cannot be used.
        """
        assert signer.key is not None
        path = folder / "cosign.pub"
        status, _, errors = self._run(["public-key", f"--key={signer.key}", f"--outfile={path}"])
        if status != 0:
            raise InputError(_key_problem(errors) or f"cosign public-key: {_last(errors)}")
        return Trust(key=str(path))

    def verify(self, image: str, trust: Trust, *, layout: Path | None = None) -> None:
        """Check that an image, by digest, is signed; `layout` is an OCI layout of it.

        Raises:
            VerificationFailed: it is not, or by somebody else.
            RegistryError: the registry does not answer.
        """
        with self._place(image, layout) as place:
            status, _, errors = self._run(["verify", *trust.arguments, *place])
        if status == 0:
            return
        if status == _NO_SIGNATURE or _NONE_THERE.search(_last(errors)):
            raise VerificationFailed(
                f"{image} has no signature: it was not published by this program, or the "
                "signature was removed; do not use it"
            )
        if status == _NO_MATCHING_SIGNATURE or "no matching signatures" in errors:
            raise VerificationFailed(
                f"{image} is signed, but not by {trust.words}: do not use it unless you know why"
            )
        raise _failure("verify", image, errors)

    def statements(
        self, image: str, kind: str, trust: Trust, *, layout: Path | None = None
    ) -> list[dict[str, Any]]:
        """The predicates of the statements of a kind that are attached to an image by digest.

        `layout` is an OCI layout of the image, which is then read in the place of its registry.

        Raises:
            VerificationFailed: there is none about this digest, or none by those who are trusted.
            RegistryError: the registry does not answer.
        """
        none = VerificationFailed(
            f"{image} carries no statement {kind} by {trust.words}: nothing says what it was "
            "tested on; do not use it"
        )
        words = ["verify-attestation", *trust.arguments, f"--type={kind}"]
        with self._place(image, layout) as place:
            # cosign 2.5 crashes over a layout that has none.
            if layout and not holds_statements(layout):
                raise none
            status, output, errors = self._run([*words, *place])
        if status != 0:
            if "matching attestations" in errors or "attestations matched" in errors:
                raise none
            raise _failure("verify-attestation", image, errors)
        return _predicates(image, kind, output)

    def statements_of(
        self, images: Sequence[str], kind: str, trust: Trust
    ) -> dict[str, list[dict[str, Any]]]:
        """What `statements` says of each of some images; nothing of one that has none.

        Raises:
            RegistryError: the registry does not answer.
        """
        if len(images) > 1:
            words = ["verify-attestation", *trust.arguments, f"--type={kind}"]
            status, output, _ = self._run([*words, *self._registry(), *images])
            # It ends well where each of them has one, about its own digest.
            if status == 0:
                with suppress(VerificationFailed):
                    return {image: _predicates(image, kind, output) for image in images}
        return {image: self._stated(image, kind, trust) for image in images}

    def _stated(self, image: str, kind: str, trust: Trust) -> list[dict[str, Any]]:
        try:
            return self.statements(image, kind, trust)
        except VerificationFailed:
            return []

    def sign_file(self, path: Path, signer: Signer) -> str:
        """Sign a file; returns the signature, which `verify_file` takes.

        Raises:
            InputError: the key cannot be used.
            RegistryError: without a key, the identity cannot be had.
        """
        with tempfile.TemporaryDirectory() as folder:
            signature = Path(folder) / "signature.json"
            words = [*signer.arguments, "--yes", f"--bundle={signature}", str(path)]
            self._write("sign-blob", words, str(path))
            written = signature.read_text(encoding="utf-8")
            return without_key(written) if signer.key else written

    def verify_file(self, path: Path, signature: bytes, trust: Trust) -> bool:
        """Whether a file is signed by those who are trusted; `signature` is what `sign_file` gave.

        Raises:
            RegistryError: nobody can tell: the key's holder or the transparency log does not
                answer, the key cannot be read, or cosign says what this program does not know.
        """
        said = FileSignature.read(signature)
        if said is None:
            return False
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            given = said.of_key(place) if trust.key else said.of_identity(place)
            if given is None:
                return False
            status, _, errors = self._run(["verify-blob", *trust.arguments, *given, str(path)])
        if status == 0:
            return True
        if NOT_SIGNED.match(_last(errors)):
            return False
        raise _failure("verify-blob", path.name, errors)

    def copy(self, source: str, other: RegistryAddress, target: str) -> None:
        """Copy an image with everything attached to it, from this registry to the other.

        What is attached to it there is replaced. One process reads here and writes there, so it
        is told of plain HTTP on either side.

        Raises:
            RegistryError: one of them is not reachable, or the copy is refused.
        """
        words = ["--force", *self._registry(other), source, target]
        self._write("copy", words, source, other)

    def save(self, image: str, folder: Path) -> None:
        """Write an image with everything attached to it to an OCI layout.

        Raises:
            RegistryError: it cannot be read.
            WriteRefused: the folder cannot be written.
        """
        words = [*self._registry(), f"--dir={folder}", image]
        self._write("save", words, image, folder=folder)

    def load(self, folder: Path, target: str) -> None:
        """Put what `save` wrote into the registry.

        Raises:
            RegistryError: the registry does not take it.
        """
        words = [*self._registry(), f"--dir={folder}", target]
        self._write("load", words, target, folder=folder)

    @contextmanager
    def _place(self, image: str, layout: Path | None) -> Iterator[list[str]]:
        if layout is None:
            yield [*self._registry(), image]
            return
        with signatures_alone(layout, image.rpartition("@")[2]) as alone:
            yield ["--local-image", str(alone)]

    def _addresses(self, *others: RegistryAddress) -> list[RegistryAddress]:
        return [one for one in (self.registry, *others) if one]

    def _registry(self, *others: RegistryAddress) -> list[str]:
        words = [f"--registry-cacert={self.ca_bundle}"] if self.ca_bundle else []
        plain = any(one.plain_http for one in self._addresses(*others))
        return [*words, "--allow-http-registry"] if plain else words

    def _write(
        self,
        verb: str,
        words: Sequence[str],
        image: str,
        *others: RegistryAddress,
        folder: Path | None = None,
    ) -> None:
        status, _, errors = self._run([verb, *words], *others)
        if status != 0:
            problem = _key_problem(errors)
            raise InputError(problem) if problem else _failure(verb, image, errors, folder)

    def _run(self, words: Sequence[str], *others: RegistryAddress) -> tuple[int, str, str]:
        """Its exit status, standard output and standard error."""
        asked = [
            one
            for one in self._addresses(*others)
            if any(word.startswith(f"{one.host}/") for word in words)
        ]
        tls = [one.host for one in asked if not one.plain_http]
        # cosign sends a password to whoever asks for it, over plain HTTP too, and falls over what
        # Docker's configuration has for others.
        with only_for(tls, self.environment) as environment:
            whom = asked[0].host if asked else ""
            if does := _MOVING.get(words[0]):
                whom = f"cosign, which {does} an image" + (f" of {whom}" if whom else "")
            with waiting_for(whom) if whom else nullcontext() as wait:
                if wait and words[0] == "save":
                    (folder,) = (Path(x[6:]) for x in words if x.startswith("--dir="))
                    wait.at(lambda: f"{bytes_in_words(_size_of(folder))} lie there")
                return self._run_in(environment, words)

    def _run_in(self, environment: Mapping[str, str], words: Sequence[str]) -> tuple[int, str, str]:
        seconds = MOVING_SECONDS if words[0] in _MOVING else SECONDS
        try:
            answer = supervisor.run(
                self.program.command(words), environment, seconds=seconds, most=MOST_BYTES
            )
        except OSError as error:
            raise EngineError(f"cosign cannot be started ({error.strerror})") from None
        except TookTooLong as error:
            raise RegistryError(
                f"cosign {words[0]} gave {error}: see whether the registry answers, and the key's "
                "holder or the transparency log, where one is asked; running again resumes"
            ) from None
        except GivenUp as error:
            raise RegistryError(
                f"cosign {words[0]} gave {error}: see who adds attestations to the image, and "
                "leave there those that are needed"
            ) from None
        return answer.status, answer.output, answer.errors


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _predicates(image: str, kind: str, output: str) -> list[dict[str, Any]]:
    """What the statements say that cosign verified and that are about an image.

    Raises:
        VerificationFailed: one of them cannot be read.
    """
    digest = image.rpartition("@")[2]
    try:
        # cosign looks at the digest too, of whatever a layout calls its image.
        return [
            statement["predicate"]
            for line in output.splitlines()
            if line.startswith("{")
            and digest in _subjects(statement := foreign.parsed(_payload(line)))
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VerificationFailed(
            f"{image}: a statement {kind} that is signed cannot be read ({error!r})"
        ) from None


def _payload(line: str) -> bytes:
    return base64.b64decode(foreign.parsed(line)["payload"])


def _subjects(statement: Mapping[str, Any]) -> set[str]:
    """The digests that an in-toto statement is about."""
    return {f"sha256:{one['digest'].get('sha256')}" for one in statement["subject"]}


def _key_problem(errors: str) -> str | None:
    if "decryption failed" in errors or "inappropriate ioctl" in errors:
        return "the signing key's password is missing or wrong: set COSIGN_PASSWORD"
    if "reading key" in errors or "loading public key" in errors:
        return f"the signing key cannot be used ({_last(errors)}): name one that cosign made"
    return None


def _last(errors: str) -> str:
    """cosign's own reason: its last line without the words before it."""
    lines = [line for line in errors.splitlines() if line.strip()]
    return re.sub(r"^error during command execution: ", "", lines[-1]) if lines else "no reason"


def _failure(
    verb: str, image: str, errors: str, folder: Path | None = None
) -> RegistryError | WriteRefused:
    if refused := refusal_in(_last(errors), folder):
        return refused
    if verb == "attest" and _UNREADABLE.search(_last(errors)):
        name, _, digest = image.rpartition("@")
        attached = f"{name}:{digest.replace(':', '-')}.att"
        return RegistryError(
            f"{attached} holds no statements about {image}, so that none can be added "
            f"({_last(errors)}): somebody put something else there; delete that tag and run again"
        )
    return RegistryError(f"cosign {verb} {image} failed ({_last(errors)})")
