"""How an image was built, as SLSA provenance v1: of which materials, how, and by whom.

Source: https://slsa.dev/spec/v1.0/provenance. What is not known is left out: no time of the build,
because an engine may have had the image for weeks, and no digest of what was not pinned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rocm_images import __version__
from rocm_images.build.targets import Target
from rocm_images.recipe.compression import identity
from rocm_images.references import CONTEXT

BUILD_TYPE = "https://github.com/rocm-serving-images/rocm-serving-images/blob/main/docs/publish.md#provenance"
_BY_HAND = "https://github.com/rocm-serving-images/rocm-serving-images/build.py"
_PINNED = (
    (re.compile(r"(?P<uri>.+)@sha256:(?P<digest>[0-9a-f]{64})"), "sha256"),
    (re.compile(r"(?P<uri>.+)#(?P<digest>[0-9a-f]{40})"), "gitCommit"),
)


def provenance_of(target: Target, environment: Mapping[str, str]) -> dict[str, Any]:
    """The provenance of the image that a target describes.

    Args:
        target: with the inputs that its image was made of.
        environment: a CI says in it whose workflow this is.
    """
    inputs = target.inputs
    assert inputs is not None
    contexts = {
        name: source if "://" in source else "a folder" for name, source in target.contexts.items()
    }
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "cell": target.cell.name,
                "buildArguments": dict(target.build_args),
                "contexts": contexts,
                "compression": identity(target.layers),
            },
            "internalParameters": {"buildId": inputs.build_id, "inputs": dict(inputs.parts)},
            "resolvedDependencies": list(_materials(target)),
        },
        "runDetails": _builder(environment),
    }


def _materials(target: Target) -> Iterator[dict[str, Any]]:
    """The base image and each source tree or file, with the digest that it was held to."""
    assert target.inputs is not None
    named = {target.cell.base_image: CONTEXT + target.cell.base_image, **target.cell.pins}
    for name, pin in named.items():
        source = target.contexts.get(name, pin)
        kind = "base" if name == target.cell.base_image else f"source/{name}"
        if "://" not in source:
            # A folder of whoever built it: its path is nobody's business, its content is.
            yield {"name": name, "annotations": {"folder": target.inputs.parts[kind]}}
            continue
        for pattern, algorithm in _PINNED:
            if found := pattern.fullmatch(source):
                yield {"name": name, "uri": source, "digest": {algorithm: found["digest"]}}
                break
        else:
            yield {"name": name, "uri": source, "annotations": {"pinned": False}}


def _builder(environment: Mapping[str, str]) -> dict[str, Any]:
    """Who vouches for the build: the CI's workflow that it says it is, else whoever signs."""
    version = {"rocm-serving-images": __version__}
    workflow, server = environment.get("GITHUB_WORKFLOW_REF"), environment.get("GITHUB_SERVER_URL")
    if workflow and server:
        run = f"{server}/{environment.get('GITHUB_REPOSITORY')}/actions/runs/"
        number, attempt = (environment.get(f"GITHUB_RUN_{part}") for part in ("ID", "ATTEMPT"))
        return {
            "builder": {"id": f"{server}/{workflow}", "version": version},
            "metadata": {"invocationId": f"{run}{number}/attempts/{attempt}"},
        }
    if job := environment.get("CI_JOB_URL"):  # GitLab's
        project = environment.get("CI_PROJECT_URL", job)
        return {
            "builder": {"id": project, "version": version},
            "metadata": {"invocationId": job},
        }
    return {"builder": {"id": _BY_HAND, "version": version}, "metadata": {}}
