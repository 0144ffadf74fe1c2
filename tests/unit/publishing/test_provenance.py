"""Provenance names every material with the digest that it was held to, and nothing unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rocm_images.build.targets import Target
from rocm_images.publishing.provenance import provenance_of
from rocm_images.recipe.compression import identity


def materials(target: Target) -> dict[str, dict[str, object]]:
    found = provenance_of(target, {})["buildDefinition"]["resolvedDependencies"]
    return {one["name"]: one for one in found}


def test_what_is_pinned_has_its_digest_and_what_is_not_says_so(target: Target) -> None:
    found = materials(target)
    assert set(found) == {target.cell.base_image, *target.cell.pins}
    assert found["aiter-src"]["digest"] == {"gitCommit": target.cell.sources["aiter"].ref}
    assert set(found["rustup-src"]["digest"]) == {"sha256"}  # type: ignore[call-overload]
    # There is no lock in this project: neither the base's tag nor SGLang's is held to anything.
    for name in (target.cell.base_image, "sglang-src"):
        assert found[name]["annotations"] == {"pinned": False}
        assert "digest" not in found[name]


def test_what_a_lock_or_a_context_says_is_what_was_built_from(
    target: Target, tmp_path: Path
) -> None:
    base, commit = f"docker-image://{target.cell.base_image}@sha256:{'a' * 64}", "b" * 40
    contexts = {
        target.cell.base_image: base,
        "sglang-src": f"https://example.org/fork.git#{commit}",
        "aiter-src": str(tmp_path),
    }
    held = replace(target, contexts=contexts)
    found = materials(held)
    assert found[target.cell.base_image] == {
        "name": target.cell.base_image,
        "uri": base,
        "digest": {"sha256": "a" * 64},
    }
    assert found["sglang-src"]["digest"] == {"gitCommit": commit}
    # A folder's content, and nothing of the machine that it lies on.
    assert target.inputs is not None
    assert found["aiter-src"]["annotations"] == {"folder": target.inputs.parts["source/aiter-src"]}
    assert str(tmp_path) not in str(provenance_of(held, {}))


def test_the_parameters_are_those_that_were_given(target: Target) -> None:
    found = provenance_of(replace(target, build_args={"MAX_JOBS": "4"}), {})["buildDefinition"]
    assert found["externalParameters"]["buildArguments"] == {"MAX_JOBS": "4"}
    assert found["externalParameters"]["compression"] == identity(target.layers)
    assert target.inputs is not None
    assert found["internalParameters"]["buildId"] == target.inputs.build_id
    assert {len(text) for text in found["internalParameters"]["inputs"].values()} == {64}


def test_the_builder_is_the_workflow_that_says_it_is_or_else_by_hand(target: Target) -> None:
    github = {
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_WORKFLOW_REF": "o/r/.github/workflows/cell.yml@refs/heads/main",
        "GITHUB_RUN_ID": "7",
        "GITHUB_RUN_ATTEMPT": "2",
    }
    run = provenance_of(target, github)["runDetails"]
    assert (
        run["builder"]["id"] == "https://github.com/o/r/.github/workflows/cell.yml@refs/heads/main"
    )
    assert run["metadata"]["invocationId"] == "https://github.com/o/r/actions/runs/7/attempts/2"
    gitlab = {"CI_JOB_URL": "https://g/o/r/-/jobs/1", "CI_PROJECT_URL": "https://g/o/r"}
    assert provenance_of(target, gitlab)["runDetails"]["builder"]["id"] == "https://g/o/r"
    by_hand = provenance_of(target, {})["runDetails"]
    assert by_hand["builder"]["id"].endswith("/build.py")
    assert by_hand["metadata"] == {}
