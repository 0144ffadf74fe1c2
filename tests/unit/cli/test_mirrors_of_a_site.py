"""ROCM_IMAGES_CONTEXT is what a site replaces in every build: mirrors, and nothing of a machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from invoked import ONE, build_id, refused, run

BASE = "rocm/pytorch:rocm7.2_ubuntu22.04_py3.10_pytorch_release_2.9.1"
MIRROR = f"{BASE}=docker-image://mirror.example.org/base:1"
ELSEWHERE = "vllm-src=https://git.example.org/vllm.git#main"


def test_a_sites_mirror_is_said_and_is_what_is_typed() -> None:
    mirrored = build_id("--context", MIRROR)
    assert mirrored != build_id()
    # What only cells of others have is theirs.
    done = run(*ONE, ROCM_IMAGES_CONTEXT=f"{ELSEWHERE} {MIRROR}")
    assert json.loads(done.stdout)[0]["build_id"] == mirrored
    assert f"note: ROCM_IMAGES_CONTEXT replaces {BASE}\n" in done.stderr
    assert "replaces nothing" in refused(*ONE, "--context", ELSEWHERE)


def test_what_is_typed_takes_the_place_of_all_mirrors() -> None:
    typed = ("--context", "aiter-src=https://git.example.org/aiter.git#main")
    assert build_id(*typed, ROCM_IMAGES_CONTEXT=MIRROR) == build_id(*typed)


def test_a_mirror_of_what_the_matrix_has_not_is_said() -> None:
    done = run(*ONE, ROCM_IMAGES_CONTEXT="aiter-source=https://git.example.org/aiter.git")
    assert done.exit_code == 0
    assert "'aiter-source' is nothing of this matrix: did you mean 'aiter-src'?" in done.stderr


def test_a_rehearsal_is_built_from_its_own_parts() -> None:
    plain = build_id("--rehearse")
    assert build_id("--rehearse", ROCM_IMAGES_CONTEXT=MIRROR) == plain
    assert build_id("--rehearse", "--context", MIRROR) != plain


@pytest.mark.parametrize("scheme", ["", "oci-layout://", "OCI-Layout://", "file://", "made-up://"])
@pytest.mark.parametrize("verb", ["build", "plan", "ci-matrix", "publish", "push"])
def test_what_is_of_this_machine_is_refused_in_the_variable_by_every_verb(
    verb: str, scheme: str, tmp_path: Path
) -> None:
    said = refused(verb, ROCM_IMAGES_CONTEXT=f"aiter-src={scheme}{tmp_path}")
    assert "is for a site's mirrors: type what is of this machine" in said
    typed = run("plan", "--context", f"aiter-src={scheme}{tmp_path}")
    assert typed.exit_code == 0, typed.exception


@pytest.mark.parametrize(
    "source",
    [
        *(f"{scheme}://example.org/aiter.git" for scheme in ("https", "http", "ssh", "git")),
        *("git@example.org:team/aiter.git", "docker-image://mirror.example.org/aiter:1"),
    ],
)
def test_an_address_of_a_server_is_not(source: str) -> None:
    mirror = f"aiter-src={source}"
    assert build_id(ROCM_IMAGES_CONTEXT=mirror) == build_id("--context", mirror) != build_id()


@pytest.mark.parametrize("words", [("--gitlab",), ("--changed-since", "HEAD")])
def test_what_others_would_not_have_is_not_typed_for_ci_matrix(words: tuple[str, ...]) -> None:
    assert "set ROCM_IMAGES_CONTEXT" in refused("ci-matrix", "--context", MIRROR, *words)
