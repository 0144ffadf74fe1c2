"""A CA bundle, pip's configuration and proxies reach the build steps, and only them."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from rocm_images.engine.network import proxy_arguments, secrets_for
from rocm_images.errors import InputError


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return path


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"])
def test_the_bundle_of_the_environment_is_taken(bundle: Path, variable: str) -> None:
    assert secrets_for(None, None, {variable: str(bundle)}) == {"ca-bundle": bundle}


def test_the_option_wins_over_the_environment(bundle: Path, tmp_path: Path) -> None:
    other = {"SSL_CERT_FILE": str(tmp_path / "absent.pem")}
    assert secrets_for(bundle, None, other) == {"ca-bundle": bundle}


def test_without_either_there_is_no_secret() -> None:
    assert secrets_for(None, None, {"SSL_CERT_FILE": ""}) == {}


def test_a_bundle_without_a_certificate_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("nothing")
    with pytest.raises(InputError, match="holds no certificate"):
        secrets_for(path, None, {})


def test_a_file_that_is_absent_is_refused_by_the_name_it_was_given_with(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    with pytest.raises(InputError, match="PIP_CERT: cannot read"):
        secrets_for(None, None, {"PIP_CERT": str(absent)})
    with pytest.raises(InputError, match="--pip-config: cannot read"):
        secrets_for(None, absent, {})


def test_proxies_are_passed_by_name_in_either_case() -> None:
    environment = {"HTTPS_PROXY": "http://user:secret@proxy", "no_proxy": "localhost", "PATH": "x"}
    assert proxy_arguments(environment) == ["HTTPS_PROXY", "no_proxy"]
