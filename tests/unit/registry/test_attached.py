"""What may be attached to an image is asked of its registry; what is, cosign alone says."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from made_up_programs import COSIGN_VERSION
from made_up_registry import GOOD, MadeUpRegistry, says, sends
from rocm_images.errors import RegistryError
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.attached import Attachment, may_have
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.retries import Retries
from rocm_images.registry.trust import Trust

DIGESTS = [f"sha256:{letter * 64}" for letter in "abc"]
IMAGES = [f"r.example.org/it@{digest}" for digest in DIGESTS]
KIND = "https://example.org/kind/v1"
TRUST = Trust(key="cosign.pub")
# It prints what is beside it for each image that it is asked for, and fails where nothing is.
SCRIPT = f"""\
#!/bin/sh
{COSIGN_VERSION}
folder="${{0%/*}}"
echo "$*" >> "$folder/calls"
for word; do
    case "$word" in *@sha256:*)
        cat "$folder/${{word##*:}}" || {{ echo "Error: no matching attestations:" >&2; exit 1; }} ;;
    esac
done
"""
Made = Callable[[Mapping[int, Sequence[int]]], Cosign]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Makes a stand-in for cosign; `statements` says about which images are those of each."""

    def given(statements: Mapping[int, Sequence[int]]) -> Cosign:
        (tmp_path / "cosign").write_text(SCRIPT)
        (tmp_path / "cosign").chmod(0o755)
        for holder, about in statements.items():
            lines = [line(subject, {"of": holder}) for subject in about]
            (tmp_path / DIGESTS[holder].partition(":")[2]).write_text("".join(lines))
        return Cosign(None, {"PATH": f"{tmp_path}:{os.environ['PATH']}"})

    return given


def line(subject: int, predicate: object) -> str:
    """What cosign prints of a statement that it verified."""
    about = [{"name": "it", "digest": {"sha256": DIGESTS[subject].partition(":")[2]}}]
    statement = {"predicateType": KIND, "subject": about, "predicate": predicate}
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    return json.dumps({"payloadType": "application/vnd.in-toto+json", "payload": payload}) + "\n"


def processes(folder: Path) -> list[int]:
    """How many images each process was asked for."""
    return [one.count("@sha256:") for one in (folder / "calls").read_text().splitlines()]


def test_one_process_reads_what_is_attached_to_several_images(made: Made, tmp_path: Path) -> None:
    cosign = made({0: [0], 1: [1, 1], 2: [2]})
    found = cosign.statements_of(IMAGES, KIND, TRUST)
    assert found == dict(zip(IMAGES, [[{"of": 0}], [{"of": 1}] * 2, [{"of": 2}]], strict=True))
    assert processes(tmp_path) == [3]


def test_where_one_has_nothing_each_is_read_by_itself(made: Made, tmp_path: Path) -> None:
    cosign = made({0: [0], 2: [2]})
    found = cosign.statements_of(IMAGES, KIND, TRUST)
    assert found == dict(zip(IMAGES, [[{"of": 0}], [], [{"of": 2}]], strict=True))
    assert processes(tmp_path) == [3, 1, 1, 1]


def test_a_statement_about_another_image_counts_for_none(made: Made) -> None:
    cosign = made({0: [2], 1: [1]})
    assert cosign.statements_of(IMAGES[:2], KIND, TRUST) == {IMAGES[0]: [], IMAGES[1]: [{"of": 1}]}


def test_another_failure_is_no_answer(made: Made, tmp_path: Path) -> None:
    cosign = made({})
    (tmp_path / "cosign").write_text(f"#!/bin/sh\n{COSIGN_VERSION}\necho refused >&2; exit 1\n")
    with pytest.raises(RegistryError, match=r"cosign verify-attestation .* failed \(refused\)"):
        cosign.statements_of(IMAGES, KIND, TRUST)


@pytest.mark.parametrize("what", Attachment)
def test_a_registry_is_asked_once_by_the_tag_that_cosign_makes(
    what: Attachment, made: Made
) -> None:
    cosign = made({})
    with MadeUpRegistry() as registry:
        there = Repository(RegistryAddress.parse(f"http://{registry.address}"), "it")
        registry.answers = sends(GOOD)
        assert may_have(there, cosign, DIGESTS[0], what)
        registry.answers = says(404)
        assert not may_have(there, cosign, DIGESTS[0], what)
        asked = f"GET /v2/it/manifests/sha256-{'a' * 64}.{what.value}"
        assert registry.asked == [asked, asked]


def test_a_registry_that_does_not_say_is_not_taken_for_one_that_has_nothing(made: Made) -> None:
    cosign = made({})
    with MadeUpRegistry() as registry:
        address = RegistryAddress.parse(f"http://{registry.address}")
        there = Repository(address, "it", retries=Retries(1))
        for answers in (says(500), says(403), sends(b"<html>")):
            registry.answers = answers
            with pytest.raises(RegistryError):
                may_have(there, cosign, DIGESTS[0], Attachment.STATEMENTS)


def test_what_cosign_keeps_elsewhere_is_not_asked_for_here(made: Made) -> None:
    path = made({}).environment["PATH"]
    cosign = Cosign(None, {"PATH": path, "COSIGN_REPOSITORY": "r.example.org/signatures"})
    with MadeUpRegistry() as registry:
        there = Repository(RegistryAddress.parse(f"http://{registry.address}"), "it")
        registry.answers = says(404)
        assert may_have(there, cosign, DIGESTS[0], Attachment.SIGNATURES)
        assert registry.asked == []
