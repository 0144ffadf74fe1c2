"""The SBOM of an image is signed for that image alone, where a public log takes it, and stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_sbom import bill_of

from made_up_publication import There, already_there
from rocm_images.build.targets import Target
from rocm_images.engine.images import EngineImage
from rocm_images.errors import EngineError, PublishRefused, VerificationFailed
from rocm_images.publishing import sboms
from rocm_images.registry.trust import Signer
from rocm_images.sbom.document import KIND as SBOM
from rocm_images.sbom.made import keep_sbom


def test_without_a_key_a_bill_larger_than_a_public_log_takes_is_refused_before_anything_is_signed(
    target: Target, tmp_path: Path, there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    cosign = there.cosign
    transaction, found = already_there(target, tmp_path, there)
    assert found.on_engine is not None
    bill = bill_of(found.on_engine.image_id)
    large = len(json.dumps(bill).encode())
    monkeypatch.setattr(sboms, "MOST_KEYLESS", large - 1)
    keyless = replace(transaction, signer=Signer(None))
    with pytest.raises(PublishRefused, match="sign with a key"):
        keyless.run([found], move_tags=False)
    assert (cosign.signed, cosign.attached) == ([], {})
    # With a key nothing goes into a log, and what is just small enough does.
    transaction.run([found], move_tags=False)
    image = there.reference(there.tags[target.immutable_tag].digest)
    assert cosign.attached.pop((image, SBOM)) == bill
    monkeypatch.setattr(sboms, "MOST_KEYLESS", large)
    keyless.run([found], move_tags=False)
    assert cosign.attached[image, SBOM] == bill


def test_a_bill_that_is_attested_already_is_kept_and_one_of_another_image_ends_it(
    target: Target, tmp_path: Path, there: There
) -> None:
    cosign = there.cosign
    transaction, found = already_there(target, tmp_path, there)
    transaction.run([found], move_tags=False)
    image = there.reference(there.tags[target.immutable_tag].digest)
    older = {**cosign.attached[image, SBOM], "version": 7}
    cosign.attached[image, SBOM] = older
    transaction.run([found], move_tags=False)
    assert cosign.attached[image, SBOM] == older
    cosign.attached[image, SBOM] = bill_of("sha256:" + "b" * 64)
    with pytest.raises(VerificationFailed, match="is of another image"):
        transaction.run([found], move_tags=False)


def test_a_file_that_is_no_bill_of_the_image_is_not_signed_and_made_again(
    target: Target, tmp_path: Path, there: There
) -> None:
    cosign = there.cosign
    transaction, found = already_there(target, tmp_path, there)
    assert found.on_engine is not None
    other = "sha256:" + "b" * 64
    keep_sbom(tmp_path, found.on_engine.image_id, bill_of(other))
    with pytest.raises(EngineError, match="nothing can list what it holds"):
        transaction.run([found], move_tags=False)
    # Nor that of another image, which the engine has.
    keep_sbom(tmp_path, other, bill_of(other))
    elsewhere = replace(found.target, found=EngineImage(other, {}, ()))
    with pytest.raises(PublishRefused, match="is not the engine's"):
        transaction.run([replace(found, target=elsewhere)], move_tags=False)
    assert cosign.signed == []
