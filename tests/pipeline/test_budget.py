"""What a node pulls is what the registry has; a budget is held before anything names an image."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import docker
import four_cells
import pytest

from conftest import Answer, Keys, run_build_py
from publishing_site import QUICK, listed, publish, tags
from registry import Registry
from rehearsal.bases import base_reference
from rocm_images.catalogue.sharing import lacked
from rocm_images.engine.connect import Engine
from rocm_images.engine.image_store import sizes_of
from rocm_images.errors import VerificationFailed
from rocm_images.publishing.push import push
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.base_layers import base_layers
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.statements import EVIDENCE, RELEASE
from rocm_images.registry.trust import Trust
from rocm_images.sizes import Sizes

ROCM = "7.2.2"
CELLS = ("sglang-942-rocm7.2.2", "sglang-950-rocm7.2.2")


def sizes(keys: Keys, registry: Registry) -> list[dict[str, Any]]:
    """What `sizes` says of the cells, for machines."""
    where = ("--channel", "preview", "--registry", registry.address)
    answer = run_build_py(
        *("sizes", "--base", ROCM, "--rehearse", "--json", *where, "--key", str(keys.our_public)),
        environment=keys.environment,
    )
    assert answer.code == 0, answer.stderr
    found: list[dict[str, Any]] = json.loads(answer.stdout)["images"]
    return found


def test_an_image_over_the_budget_is_pushed_and_signed_and_nothing_names_it(
    rolling: Answer,
    keys: Keys,
    client: docker.DockerClient,
    real_engine: Engine,
    registry: Registry,
    tmp_path: Path,
) -> None:
    matrix = tmp_path / "matrix.yaml"
    text = four_cells.PATH.read_text()
    matrix.write_text(re.sub("budget: .*", "budget: {compressed: 1 MB}", text))
    assert {one["state"] for one in sizes(keys, registry)} == {"not pushed yet"}
    words = ("--base", ROCM)
    refused = publish(keys, registry.address, *words, "--matrix", str(matrix))
    assert refused.code == 8, refused.stderr
    assert "over the pull budget of the channel preview: nothing was released" in refused.stderr
    assert all(f"{cell}: its layers are" in refused.stderr for cell in CELLS)
    assert re.search(r" MB new: base image, ", refused.stderr)
    assert set(tags(registry).values()) == {None}
    there = Repository(RegistryAddress.parse(registry.address), "sglang-rocm", retries=QUICK)
    assert there.manifest("catalogue") is None
    # It is what `push` leaves: signed, with evidence, and released for no channel.
    cosign, trust = Cosign(there.address, keys.environment), Trust(key=str(keys.our_public))
    for cell in CELLS:
        reference = there.reference(rolling.summary[cell]["image_id"])
        cosign.verify(reference, trust)
        assert cosign.statements(reference, EVIDENCE, trust)
        with pytest.raises(VerificationFailed):
            cosign.statements(reference, RELEASE, trust)
    pushed = sizes(keys, registry)
    assert {one["state"] for one in pushed} == {"pushed, not current in this channel"}

    # With the matrix's own bound it goes on, and sends nothing again.
    sent = len(registry.uploads())
    done = publish(keys, registry.address, *words)
    assert done.code == 0, done.stderr
    assert "% of 20 GB" in done.stdout
    assert "the channel's first" in done.stdout
    assert not re.search("layers? sent", done.stdout)
    # What cosign and the catalogue add; no layer is among it.
    images = listed(keys, registry.address).images
    layers = {layer.digest for image in images for layer in image.layers}
    assert layers.isdisjoint(f"sha256:{digest}" for digest in registry.uploads()[sent:])

    # What was said before publishing is what is said after it.
    published = sizes(keys, registry)
    for before, after in zip(pushed, published, strict=True):
        for key in ("compressed", "unpacked", "layers"):
            assert before[key] == after[key] is not None, key
        assert after["unpacked"] > after["compressed"]
        assert 0 < after["pulls"]["with_other_arch"] < after["compressed"] / 2
    stages = {layer["stage"] for layer in published[0]["layers"]}
    assert {"base image", "serving"} <= stages

    # What the engine says of one image is what its manifest says, and in a list it adds the other.
    for image, said in zip(images, published, strict=True):
        manifest = there.manifest(image.digest)
        assert manifest is not None
        parts = [manifest.document["config"], *manifest.document["layers"]]
        compressed = len(manifest.content) + sum(part["size"] for part in parts)
        found = sizes_of(client, [image.digest])[image.digest]
        assert found == Sizes(compressed, said["unpacked"])
        names = client.images.get(image.digest).tags
        (in_list,) = client.api.images(filters={"reference": names[:1]})
        assert in_list["Size"] == compressed + said["unpacked"]

    # The base's own compressed layers are in the image as they are: to push it sends none of them.
    sent = len(registry.uploads())
    base = client.images.get(base_reference(four_cells.MATRIX, ROCM))
    push(real_engine, str(base.id), there, "base", lambda *_: None)
    own = base_layers(f"{registry.address}/sglang-rocm:base")
    assert own
    assert layers >= {layer.digest for layer in own}
    assert layers.isdisjoint(f"sha256:{digest}" for digest in registry.uploads()[sent:])
    for image in images:
        from_base = [one for one in image.layers if one.stage == "base image"]
        assert [one.digest for one in from_base] == [one.digest for one in own]
        assert lacked(image.layers, own) == image.size - lacked(own, ())
