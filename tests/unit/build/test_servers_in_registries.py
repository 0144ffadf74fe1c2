"""What registries have of several servers' images is asked of the repository of each."""

from __future__ import annotations

from typing import Any

import pytest
from two_servers import with_second_server

from rocm_images.build.status import InRegistry
from rocm_images.build.targets import Target, repositories_of, with_published
from rocm_images.engine.images import EngineImage
from rocm_images.matrix.schema import Matrix
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.trust import Trust


def test_each_target_is_looked_for_where_its_server_has_its_images(
    project_matrix: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, cells = with_second_server(project_matrix)
    targets = [Target(cell, (), immutable=f"{cell.repository}:x-{cell.name}") for cell in cells]
    there = repositories_of(RegistryAddress.parse("r.example.org/team"), None, 3, cells)
    assert {one.retries.attempts for one in there.values()} == {3}
    assert sorted(map(str, there.values())) == [
        "r.example.org/team/sglang-rocm",
        "r.example.org/team/vllm-rocm",
    ]
    asked: list[tuple[str, str]] = []

    def verified_of(repository: Repository, _: Any, __: Any, target: Target) -> None:
        asked.append((repository.name, target.cell.name))

    monkeypatch.setattr("rocm_images.build.targets.verified_of", verified_of)
    nobody: Any = None
    with_published(there, nobody, Trust(key="cosign.pub"), targets)
    wanted = sorted((cell.repository, cell.name) for cell in cells)
    assert sorted(asked) == wanted
    # `plan` asks the same, verified or not, and nothing of what the engine has.
    unverified: list[tuple[str, str]] = []

    def digest_of(self: Repository, tag: str) -> str:
        unverified.append((self.name, tag.removeprefix("x-")))
        return "sha256:ab"

    monkeypatch.setattr(Repository, "digest_of", digest_of)
    found = EngineImage("sha256:1", {}, ())
    on_engine = Target(cells[0], (), immutable="y:x-none", found=found)
    states = InRegistry(there).states([*targets, on_engine])
    assert sorted(unverified) == wanted
    assert states[:-1] == ["in the registry, not verified (sha256:ab)"] * len(targets)
    assert states[-1] == ""
