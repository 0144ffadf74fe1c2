"""A build behind a private CA and a package mirror works, and keeps neither of their secrets."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import docker
import four_cells
import pytest
import trustme
from checkouts import PROJECT, Checkout

from conftest import run_in
from package_index import package_index
from rocm_images.engine.network import CA_VARIABLES

MARKER = "# this line is in no layer"
NO_BUNDLE = dict.fromkeys(CA_VARIABLES, "")


def matrix_of_its_own(folder: Path) -> Path:
    """The project's matrix with an SGLang version that nobody built before, on any engine.

    So no image is up to date, and no step that asks for packages comes from the cache.
    """
    version = f"0.5.{uuid.uuid4().int % 10**9}"
    text = four_cells.PATH.read_text()
    text = re.sub(r"(ref: v0\.5\.21\n +version: )0\.5\.21", rf"\g<1>{version}", text)
    # The stand-ins of these pins are on no index.
    text = re.sub(
        r"(?ms)^    packages:\n.*?^    # The environment", "    packages: {}\n    # The env", text
    )
    path = folder / "matrix.yaml"
    path.write_text(text)
    return path


def pip_config(folder: Path, index: str) -> Path:
    path = folder / "pip.conf"
    lines = ["[global]", "no-index = false", "find-links =", f"index-url = {index}", MARKER]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def test_with_the_ca_bundle_pip_reaches_the_mirror_and_the_image_keeps_no_secret(
    elsewhere: Checkout, client: docker.DockerClient, authority: trustme.CA, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    wheels = PROJECT / ".cache" / "rehearsal" / "wheelhouse"
    with package_index(wheels, authority) as index:
        answer = elsewhere.build_py(
            *("--matrix", str(matrix_of_its_own(tmp_path))),
            *("--arch", "942", "--base", "7.2.2", "--rehearse", "--no-smoke", "--network", "host"),
            *("--ca-bundle", str(bundle), "--pip-config", str(pip_config(tmp_path, index))),
            environment=NO_BUNDLE,
        )
    assert answer.code == 0, answer.stderr
    assert answer.summary["sglang-942-rocm7.2.2"]["result"] == "done"
    image = client.images.get(answer.summary["sglang-942-rocm7.2.2"]["image_id"])
    assert MARKER not in str(image.history())
    certificate = bundle.read_text().splitlines()[1]
    words = ["grep", "-rlsF", "-e", MARKER, "-e", certificate, "--exclude-dir=proc"]
    words += ["--exclude-dir=sys", "/"]
    _, found, _ = run_in(client, image.id, words, entrypoint="")
    assert found == ""


def test_without_the_ca_bundle_the_build_fails_and_says_why(
    elsewhere: Checkout, authority: trustme.CA, tmp_path: Path
) -> None:
    wheels = PROJECT / ".cache" / "rehearsal" / "wheelhouse"
    with package_index(wheels, authority) as index:
        answer = elsewhere.build_py(
            *("--matrix", str(matrix_of_its_own(tmp_path))),
            *("--arch", "942", "--base", "7.2.2", "--rehearse", "--no-smoke", "--network", "host"),
            *("--pip-config", str(pip_config(tmp_path, index))),
            environment={**NO_BUNDLE, "PIP_RETRIES": "0"},
        )
    assert answer.code == 1
    assert "CERTIFICATE_VERIFY_FAILED" in answer.stderr
