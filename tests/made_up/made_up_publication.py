"""A registry's repository in memory, with cosign, and what is published there without an engine."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from made_up_sbom import bill_of

from hostile_registry import Image
from made_up_catalogue import passed
from rocm_images.build.progress import PlainLines
from rocm_images.build.targets import Target
from rocm_images.engine.images import EngineImage
from rocm_images.errors import VerificationFailed
from rocm_images.matrix.schema import Channel
from rocm_images.publishing.candidates import Candidate, Rules, candidates
from rocm_images.publishing.transaction import Transaction
from rocm_images.registry.manifest import Manifest
from rocm_images.registry.trust import Signer, Trust
from rocm_images.sbom.made import keep_sbom
from rocm_images.smoke.run import tests_digest as digest_of_the_tests

PREVIEW = Channel(evidence="static", suffix="-preview", why="w")
ATTACHED = Manifest(Image({}).top)
_OCI = "application/vnd.oci.image"

Statement = Mapping[str, object]
"""What is attached to an image: the predicate of an attestation."""


class Cosign:
    """A stand-in for cosign: who signed what, and what is attached to it."""

    def __init__(self) -> None:
        self.signed: list[str] = []
        self.attached: dict[tuple[str, str], Statement] = {}
        self.loses = 0
        """So many statements are lost as soon as they are attached."""
        self.keeps_elsewhere = False
        self.calls: Counter[str] = Counter()
        """Of the real one, each is a process."""

    def attachments(self, image: str) -> set[str]:
        """How the tags end that it made beside an image."""
        found = {"sig"} if image in self.signed else set()
        return found | {"att" for of, _ in self.attached if of == image}

    def verify(self, image: str, *_: object, **__: object) -> None:
        self.calls["verify"] += 1
        if image not in self.signed:
            raise VerificationFailed(f"{image} has no signature")

    def statements(self, image: str, kind: str, *_: object, **__: object) -> list[Statement]:
        self.calls["verify-attestation"] += 1
        if (image, kind) not in self.attached:
            raise VerificationFailed(f"{image} carries no {kind}")
        return [self.attached[image, kind]]

    def statements_of(
        self, images: Sequence[str], kind: str, _: Trust
    ) -> dict[str, list[Statement]]:
        self.calls["verify-attestation"] += 1
        found = {image: self.attached.get((image, kind)) for image in images}
        return {image: [one] if one else [] for image, one in found.items()}

    def sign(self, image: str, _: Signer, *more: str) -> None:
        self.calls["sign"] += 1
        self.signed += (image, *more)

    def attest(self, image: str, kind: str, predicate: Statement, _: Signer) -> None:
        self.calls["attest"] += 1
        self.attached[image, kind] = predicate
        if self.loses:
            # Another machine read what was attached before, and writes it with its own.
            self.loses -= 1
            del self.attached[image, kind]


class There:
    """A registry's repository in memory."""

    name = "sglang-rocm"
    is_loopback = True

    def __init__(self) -> None:
        self.tags: dict[str, Manifest] = {}
        self.content: dict[str, bytes] = {}
        self.cosign = Cosign()
        """What it attached lies here."""

    def __str__(self) -> str:
        return f"r/{self.name}"

    def reference(self, name: str) -> str:
        return f"r/sglang-rocm{'@' if ':' in name else ':'}{name}"

    def manifest(self, name: str) -> Manifest | None:
        digest, _, end = name.partition(".")
        if digest.startswith("sha256-"):
            image = self.reference(digest.replace("-", ":"))
            return ATTACHED if end in self.cosign.attachments(image) else None
        by_digest = {one.digest: one for one in self.tags.values()}
        return self.tags.get(name) or by_digest.get(name)

    def blob(self, digest: str) -> bytes:
        return self.content[digest]

    @property
    def address(self) -> There:
        return self

    def image(self, tag: str, config: bytes, layer: str, size: int = 1) -> Manifest:
        """An image of one layer, under a tag."""
        digest = id_of(config)
        self.content[digest] = config
        document = {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": {
                "mediaType": f"{_OCI}.config.v1+json",
                "digest": digest,
                "size": len(config),
            },
            "layers": [
                {
                    "mediaType": f"{_OCI}.layer.v1.tar",
                    "digest": f"sha256:{layer * 64}",
                    "size": size,
                }
            ],
        }
        self.tags[tag] = Manifest(json.dumps(document).encode())
        return self.tags[tag]


def configuration(target: Target) -> bytes:
    """That of the image of a target."""
    assert target.inputs is not None
    labels = {
        "rocm-serving-images.build-id": target.inputs.build_id,
        "rocm-serving-images.cell": target.cell.name,
        "org.opencontainers.image.version": target.cell.tags[0],
    }
    config = {"os": "linux", "architecture": "amd64", "config": {"Labels": labels}}
    return json.dumps(config).encode()


def id_of(config: bytes) -> str:
    """The older image store knows an image by its configuration alone."""
    return f"sha256:{hashlib.sha256(config).hexdigest()}"


def on_engine(target: Target, folder: Path, image_id: str, there: There) -> tuple[Rules, Target]:
    """What publishes an image that the engine knows by an id, with evidence."""
    tests = digest_of_the_tests()
    passed(target.cell.name, image_id=image_id, tests=tests).write(folder)
    keep_sbom(folder, image_id, bill_of(image_id))
    trust = Trust(key="cosign.pub")
    rules = Rules(there, "preview", PREVIEW, folder, there.cosign, trust)  # type: ignore[arg-type]
    assert target.inputs is not None
    return rules, replace(target, found=EngineImage(image_id, {}, ()))


def already_there(target: Target, folder: Path, there: There) -> tuple[Transaction, Candidate]:
    """An image that the registry has already, as the engine has it, and who publishes it."""
    transaction, (found,) = all_already_there([target], folder, there)
    return transaction, found


def all_already_there(
    targets: Sequence[Target], folder: Path, there: There
) -> tuple[Transaction, list[Candidate]]:
    """Images that the registry has already, with nothing attached, and who publishes them."""
    given = []
    for one in targets:
        manifest = there.image(one.immutable_tag, configuration(one), "a")
        rules, found = on_engine(one, folder, manifest.digest, there)
        given.append(found)
    return Transaction(rules, None, Signer("key"), PlainLines()), candidates(rules, given)
