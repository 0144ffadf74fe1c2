"""The sample policies for a cluster, judged by cosign on images that were signed and attested.

What stands in: cosign for the policy-controller, which evaluates CUE with the same library, but
does not ask for fields that are marked as required. docs/cluster.md has what was tried by hand.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from four_cells import MATRIX

from made_up_catalogue import entry as made_up_entry
from made_up_catalogue import evidence
from registry import Registry
from rehearsal.engine import PrivateEngine
from rocm_images.catalogue.verifying import cosign_commands
from rocm_images.plan.cells import cells_of
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.statements import EVIDENCE, PROVENANCE
from rocm_images.registry.trust import Signer
from rocm_images.smoke.evidence import Evidence, Level

PROJECT = Path(__file__).resolve().parents[2]
SIGNED, RAN = yaml.safe_load_all((PROJECT / "docs" / "cluster-policy.yaml").read_text())
REPOSITORY = "made-up"
CELL = cells_of(MATRIX)[0]


def of(level: Level) -> dict[str, Any]:
    """Evidence of that level, as publishing attests it."""
    return evidence(CELL, level).document


ON_A_GPU = of(Level.GPU)


@dataclass(frozen=True)
class Site:
    """A registry, and those who sign for it: we, and others."""

    registry: Registry
    cosign: Cosign
    folder: Path

    def published(
        self,
        statement: Mapping[str, Any] | None,
        *,
        by: str = "ours",
        kind: str = EVIDENCE,
        sign: bool = True,
    ) -> str:
        """An image by digest, signed and attested as `publish` does it."""
        digest = self.registry.push(REPOSITORY, "it", {"of": f"{by} {kind} {statement}"})
        image = f"{self.registry.address}/{REPOSITORY}@{digest}"
        signer = Signer(str(self.folder / by / "cosign.key"))
        if sign:
            self.cosign.sign(image, signer)
        if statement is not None:
            self.cosign.attest(image, kind, statement, signer)
        return image

    def admits(self, policy: Mapping[str, Any], image: str) -> tuple[bool, str]:
        """Whether cosign finds what the policy asks for, and what it says."""
        (authority,) = policy["spec"]["authorities"]
        words = [f"--key={self.folder}/ours/cosign.pub", "--insecure-ignore-tlog=true"]
        verb = "verify"
        for attestation in authority.get("attestations", ()):
            verb, path = "verify-attestation", self.folder / "policy.cue"
            path.write_text(attestation["policy"]["data"])
            words += [f"--type={attestation['predicateType']}", f"--policy={path}"]
        done = subprocess.run(
            ["cosign", verb, *words, "--allow-http-registry", image],
            env=dict(self.cosign.environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def site(registry_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("cluster")
    # cosign of the packages that the registry comes from, or, on Ubuntu, the installed one.
    environment = {**os.environ, **PrivateEngine().environment(), "COSIGN_PASSWORD": "of tests"}
    for name in ("ours", "others"):
        (folder / name).mkdir()
        words = ["cosign", "generate-key-pair"]
        subprocess.run(words, cwd=folder / name, env=environment, check=True, capture_output=True)
    with Registry(registry_program, folder / "registry") as registry:
        address = RegistryAddress.parse(f"http://{registry.address}")
        yield Site(registry, Cosign(address, environment), folder)


@pytest.mark.parametrize("level", [Level.GPU, Level.SERVE])
def test_what_ran_on_a_gpu_is_admitted(site: Site, level: Level) -> None:
    image = site.published(of(level))
    for policy in (SIGNED, RAN):
        admitted, said = site.admits(policy, image)
        assert admitted, said


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in ON_A_GPU.items() if name != field}


REFUSED: dict[str, Callable[[], Mapping[str, Any]]] = {
    "emulated": lambda: of(Level.EMULATED),
    "on a stand-in": lambda: of(Level.STAND_IN),
    "static": lambda: of(Level.STATIC),
    "failed": lambda: {**ON_A_GPU, "passed": False, "tests_failed": 1},
    "with a failure": lambda: {**ON_A_GPU, "tests_failed": 1},
    "passed as a text": lambda: {**ON_A_GPU, "passed": "true"},
    "flags not recorded": lambda: {**ON_A_GPU, "ran_as": None},
    "the whole host": lambda: {**ON_A_GPU, "ran_as": "--privileged"},
    "an unknown level": lambda: {**ON_A_GPU, "level": "gpus"},
    "another schema": lambda: {**ON_A_GPU, "schema": 2},
    "nothing": dict,
    **{
        f"no {field}": lambda field=field: without(field)  # type: ignore[misc]
        for field in ("schema", "passed", "tests_failed", "level", "ran_as")
    },
}


@pytest.mark.parametrize("made", REFUSED.values(), ids=REFUSED.keys())
def test_what_our_evidence_does_not_say_is_not_admitted(
    site: Site, made: Callable[[], Mapping[str, Any]]
) -> None:
    admitted, said = site.admits(RAN, site.published(made(), sign=False))
    assert not admitted
    assert "validation errors occurred" in said


def test_an_image_of_somebody_else_is_not_admitted(site: Site) -> None:
    image = site.published(ON_A_GPU, by="others")
    for policy in (SIGNED, RAN):
        admitted, said = site.admits(policy, image)
        assert not admitted
        assert "invalid signature" in said or "no matching" in said, said


def test_an_image_without_evidence_or_with_another_statement_is_not_admitted(site: Site) -> None:
    for image in (site.published(None), site.published(ON_A_GPU, kind=PROVENANCE)):
        assert site.admits(SIGNED, image)[0]
        admitted, said = site.admits(RAN, image)
        assert not admitted
        assert "attestations" in said


@pytest.mark.parametrize(("by", "status"), [("ours", 0), ("others", 1)])
def test_what_the_catalogues_page_says_to_type_verifies_ours_alone(
    site: Site, by: str, status: int
) -> None:
    image = site.published(ON_A_GPU, by=by)
    repository, _, digest = image.partition("@")
    entry = made_up_entry(CELL, repository=repository, digest=digest)
    done = subprocess.run(
        ["sh", "-c", cosign_commands(entry)],
        cwd=site.folder / "ours",
        env=dict(site.cosign.environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert min(done.returncode, 1) == status, done.stderr
    assert ('"payload"' in done.stdout) is (status == 0)


def test_the_made_up_evidence_is_evidence() -> None:
    """Otherwise nothing of the above would be about what publishing attests."""
    found = Evidence.of_document(ON_A_GPU)
    assert found is not None
    assert (found.level, found.as_deployed) == (Level.GPU, True)
