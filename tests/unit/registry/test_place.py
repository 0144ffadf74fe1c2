"""Whose signatures count beside a key that signs: those of that key, and of no other."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from rocm_images.errors import InputError
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.place import Who
from rocm_images.registry.trust import Signer, Trust

PUBLIC = "-----BEGIN PUBLIC KEY-----\nours\n-----END PUBLIC KEY-----\n"


class KeyOf:
    """A cosign that knows the public key of every signer."""

    def public_key(self, _: Signer, folder: Path) -> Trust:
        path = folder / "cosign.pub"
        path.write_text(PUBLIC)
        return Trust(str(path))


def trusted(sign_key: str, key: str | None, folder: Path) -> Trust:
    return Who(sign_key=sign_key, key=key).trust(cast(Cosign, KeyOf()), folder)


@pytest.fixture
def private(tmp_path: Path) -> str:
    (tmp_path / "ours.key").write_text("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")
    return str(tmp_path / "ours.key")


def test_a_key_beside_the_one_that_signs_has_to_be_its_own(private: str, tmp_path: Path) -> None:
    ours, other = tmp_path / "ours.pub", tmp_path / "other.pub"
    ours.write_text(PUBLIC.replace("\n", "\r\n"))
    other.write_text(PUBLIC.replace("ours", "other"))
    own = Trust(str(tmp_path / "cosign.pub"))
    for signer in (private, "awskms:///alias/ours"):
        assert trusted(signer, str(ours), tmp_path) == trusted(signer, None, tmp_path) == own
        for wrong in (str(other), private):
            with pytest.raises(InputError, match="is not the public key of --sign-key"):
                trusted(signer, wrong, tmp_path)


@pytest.mark.parametrize("address", ["awskms:///alias/other", "https://keys.example/cosign.pub"])
def test_a_key_that_only_has_an_address_is_compared_with_nothing_and_so_refused(
    address: str, private: str, tmp_path: Path
) -> None:
    for signer in (private, "awskms:///alias/ours"):
        with pytest.raises(InputError, match=f"{address} cannot be compared with --sign-key"):
            trusted(signer, address, tmp_path)


def test_the_address_of_the_key_that_signs_may_be_named_as_both(tmp_path: Path) -> None:
    address = "awskms:///alias/ours"
    assert trusted(address, address, tmp_path).key == str(tmp_path / "cosign.pub")
