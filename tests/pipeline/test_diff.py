"""Two rehearsed images differ in what their bases differ in, seen from inside them."""

from __future__ import annotations

import json
from pathlib import Path

import docker
import pytest

from conftest import PROJECT, Answer, containers_of, run_build_py

OLD, NEW = "sglang-942-rocm7.2.0", "sglang-942-rocm7.2.2"


@pytest.fixture
def found(rolling: Answer) -> dict[str, object]:
    references = [rolling.summary[cell]["reference"] for cell in (OLD, NEW)]
    answer = run_build_py("diff", *references, "--json", "--rehearse")
    assert answer.code == 0, answer.stderr
    document: dict[str, object] = json.loads(answer.stdout)
    return document


def test_a_newer_base_changes_its_torch_its_default_and_its_advisories(
    found: dict[str, object], rolling: Answer, client: docker.DockerClient
) -> None:
    packages = found["packages"]
    assert isinstance(packages, dict)
    assert packages["pip"] == [
        {"name": "torch", "old": "2.9.1+rocm7.2.0.standin", "new": "2.9.1+rocm7.2.2.standin"}
    ]
    # What AMD's libraries need of Debian; the imitation needs none of it.
    assert "libnuma1" in {package["name"] for package in packages["dpkg"]}
    assert {package["old"] for package in packages["dpkg"]} == {None}
    assert found["env"] == [
        {"name": "DEBUG_HIP_GRAPH_SEGMENT_SCHEDULING", "old": None, "new": "0"},
        {"name": "SGLANG_USE_AITER_AR", "old": "0", "new": "1"},
    ]
    assert found["lost"] == ["hip-event-query", "roctracer", "dispatch-segv"]
    assert found["gained"] == ["graph-roots"]
    assert set(found["inputs"]) == {"annotations", "base", "dockerfile"}  # type: ignore[call-overload]
    assert found["removed_layers"] != []
    # By size; today's recipe made both, so each layer's stage is known.
    growth = {one["name"]: one for one in found["growth"]}  # type: ignore[attr-defined]
    assert growth["libnuma1"]["old"] is None
    assert growth["libnuma1"]["new"] > 10_000
    assert {"base image", "serving"} <= set(found["stages"])  # type: ignore[call-overload]
    images = [rolling.summary[cell]["image_id"] for cell in (OLD, NEW)]
    assert containers_of(client, "sbom", *images) == []


def test_an_image_does_not_differ_from_itself(rolling: Answer) -> None:
    reference = rolling.summary[OLD]["reference"]
    answer = run_build_py("diff", reference, reference, "--rehearse")
    assert answer.code == 0
    assert answer.stdout.endswith("no difference in packages, environment, labels or layers\n")


def test_an_image_that_is_not_there_is_a_sentence(rolling: Answer) -> None:
    answer = run_build_py("diff", "a:nowhere", rolling.summary[OLD]["reference"], "--rehearse")
    assert answer.code == 2
    assert "the engine has no image 'a:nowhere'" in answer.stderr
    odd = run_build_py("sbom", "https://a/b:c", "--rehearse")
    assert (odd.code, "'https://a/b:c' names no image" in odd.stderr) == (2, True), odd.stderr


def test_the_commands_of_the_document_run(rolling: Answer, tmp_path: Path) -> None:
    document = (PROJECT / "docs" / "diff.md").read_text()
    before, after = tmp_path / "before.cdx.json", tmp_path / "after.cdx.json"
    for path, cell in ((before, OLD), (after, NEW)):
        assert "build.py sbom OLD --output before.cdx.json" in document
        image = rolling.summary[cell]["reference"]
        done = run_build_py("sbom", image, "--rehearse", "--output", str(path))
        assert done.code == 0, done.stderr
    assert "build.py release-notes before.cdx.json after.cdx.json" in document
    notes = run_build_py("release-notes", str(before), str(after), "--title", "v0.2.0")
    assert notes.stdout.startswith(f"## v0.2.0\n\n### {NEW}: new\n")
    assert notes.stdout.endswith(f"\nNo longer built: {OLD}.\n")
