"""`build.py sizes --registry` says what a node pulls of what is published, pushed, or neither."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from made_up_catalogue import FIRST, REPOSITORY, digest, entry
from rocm_images.build import sizes
from rocm_images.build.site import RealSite
from rocm_images.build.targets import Target
from rocm_images.catalogue.merge import merged
from rocm_images.catalogue.schema import Catalogue
from rocm_images.cli.main import main
from rocm_images.matrix.schema import Matrix
from rocm_images.publishing import registry_sizes as module
from rocm_images.publishing.registry_sizes import ImageSizes, Sizing, as_json_text, as_text
from rocm_images.registry import trust
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.base_layers import BaseLayer
from rocm_images.registry.manifest import Manifest
from rocm_images.registry.published import PublishedImage
from rocm_images.registry.trust import Trust
from rocm_images.sizes import Sizes

PROJECT = Path(__file__).resolve().parents[3]
LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"
Find = Callable[..., ImageSizes]


class There:
    """A registry's repository that has nothing but what a test says."""

    ca_bundle = None

    def __str__(self) -> str:
        return REPOSITORY


class Place:
    """Where it is."""

    repository = There()
    cosign = None


@pytest.fixture
def find(project_matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> Find:
    """The sizes of one cell where the registry has a catalogue, an image, and the base's tells."""

    def found(
        target: Target,
        listed: Catalogue | None,
        image: PublishedImage | None,
        base: tuple[BaseLayer, ...] | None = None,
    ) -> ImageSizes:
        monkeypatch.setattr(RealSite, "found_engine", lambda _: None)
        monkeypatch.setattr(module, "place_of", lambda *_: Place())
        monkeypatch.setattr(module, "verified_in", lambda *_: listed and (None, listed))
        monkeypatch.setattr(module, "image_at", lambda *_: image)
        monkeypatch.setattr(
            module, "bases_of", lambda given, _: {module.base_reference(one): base for one in given}
        )
        where = (RegistryAddress.parse("registry.example.org"), None, 1, "preview")
        trusted = Trust(key="cosign.pub")
        path = PROJECT / "matrix.yaml"
        sizing = Sizing(path, project_matrix, (target.cell,), *where, trusted, RealSite())
        (one,) = sizing.found()
        return one

    return found


def pushed(*layers: tuple[str, int]) -> PublishedImage:
    document: dict[str, Any] = {
        "layers": [
            {"mediaType": LAYER, "digest": digest(name), "size": size} for name, size in layers
        ]
    }
    whole = {
        **document,
        "schemaVersion": 2,
        "config": {"mediaType": "c", "digest": digest("config"), "size": 1},
    }
    top = Manifest(json.dumps(whole).encode())
    steps = tuple(f"RUN {name}" for name, _ in layers)
    return PublishedImage(f"{REPOSITORY}@{top.digest}", top, document, top.digest, {}, steps)


def test_a_published_image_is_what_the_signed_catalogue_says(target: Target, find: Find) -> None:
    image = pushed(("whatever the manifest says", 1))
    listed = merged(None, [entry(target.cell, digest=image.digest)], FIRST)
    found = find(target, listed, image)
    assert (found.state, found.sizes.compressed) == ("published", 12_450_000_000)
    assert found.sizes.unpacked == 45_600_000_000


def test_a_pushed_image_is_what_its_manifest_says(target: Target, find: Find) -> None:
    before = entry(target.cell)
    kept = f"{target.cell.rocm} base"
    image = pushed((kept, 9_000_000_000), ("new", 7_000_000))
    base = (BaseLayer(digest(kept), 9_000_000_000),)
    found = find(target, merged(None, [before], FIRST), image, base)
    assert found.state == "pushed, not current in this channel"
    assert found.sizes == Sizes(9_007_000_000, None)
    assert (found.pulls.previous, found.pulls.with_previous) == (before.immutable_tag, 7_000_000)
    assert found.pulls.with_base == 7_000_000
    assert [layer.step for layer in found.layers] == [f"RUN {kept}", "RUN new"]
    first = find(target, None, image)
    assert (first.pulls.previous, first.pulls.with_base) == (None, None)


def test_what_the_registry_has_not_is_not_pushed_yet(target: Target, find: Find) -> None:
    found = find(target, None, None)
    assert (found.state, found.sizes.compressed) == ("not pushed yet", None)
    assert found.tag == target.immutable_tag
    older = entry(target.cell)
    found = find(target, merged(None, [older], FIRST), None)
    assert found.tag == older.immutable_tag
    assert found.state == "published; what the matrix makes now is not pushed yet"
    stable = entry(target.cell, channel="stable")
    assert find(target, merged(None, [stable], FIRST), None).state == "not pushed yet"


def test_it_is_told_to_people_and_to_machines(target: Target, find: Find) -> None:
    listed = merged(
        merged(None, [entry(target.cell)], FIRST), [entry(target.cell, build="2")], FIRST
    )
    found = find(target, listed, None)
    text = as_text([found])
    row = next(line for line in text.splitlines() if line.startswith(target.cell.name + " "))
    assert row.split()[1:7] == ["12.4", "GB", "45.6", "GB", "1.2", "GB"]
    assert f"after {entry(target.cell).immutable_tag}" in text
    (image,) = json.loads(as_json_text([found]))["images"]
    assert image["compressed"] == 12_450_000_000
    assert image["pulls"]["with_previous"] == 1_250_000_000
    assert len(image["layers"]) == 4


def test_a_published_image_that_is_not_current_here_is_not_called_unpublished(
    target: Target, find: Find
) -> None:
    image = pushed(("layer", 1))
    earlier = entry(target.cell, digest=image.digest)
    replaced = merged(merged(None, [earlier], FIRST), [entry(target.cell, build="2")], FIRST)
    elsewhere = merged(None, [entry(target.cell, digest=image.digest, channel="stable")], FIRST)
    for listed in (replaced, elsewhere):
        assert find(target, listed, image).state == "pushed, not current in this channel"


OF_A_REGISTRY = [
    ("--json",),
    ("--channel", "preview"),
    ("--key", "cosign.pub"),
    ("--identity", "someone"),
    ("--issuer", "https://issuer.example.org"),
    ("--ca-bundle", __file__),
    ("--attempts", "2"),
    ("--context", "aiter-src=https://git.example.org/aiter.git#main"),
    ("--compression", "gzip"),
    ("--recompress-base",),
]


@pytest.mark.parametrize("words", OF_A_REGISTRY, ids=lambda words: str(words[0]))
def test_what_is_for_a_registry_is_not_ignored_where_none_is_named(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROCM_IMAGES_REGISTRY", raising=False)
    done = CliRunner().invoke(main, ["sizes", *words])
    assert f"{words[0]}: is for what a registry has: name the registry with --registry" in str(
        done.exception
    )


@pytest.mark.parametrize("words", OF_A_REGISTRY, ids=lambda words: str(words[0]))
def test_what_is_for_a_registry_means_the_one_of_the_environment(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROCM_IMAGES_REGISTRY", "registry.example.org")
    monkeypatch.setenv("ROCM_IMAGES_PUBLIC_KEY", "cosign.pub")
    monkeypatch.setattr(trust, "trust_of", lambda *_: Trust(key="cosign.pub"))
    monkeypatch.setattr(Sizing, "found", lambda _: [])
    done = CliRunner().invoke(main, ["sizes", *words])
    assert done.exit_code == 0, done.exception
    assert ("THE IMAGE IS" in done.output) is (words != ("--json",))


def test_a_registry_in_the_environment_alone_leaves_the_engines_sizes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROCM_IMAGES_REGISTRY", "registry.example.org")
    monkeypatch.setenv("ROCM_IMAGES_PUBLIC_KEY", "cosign.pub")
    shown: list[object] = []
    monkeypatch.setattr(sizes, "print_sizes", lambda *given: shown.append(given))
    assert CliRunner().invoke(main, ["sizes"]).exit_code == 0
    assert len(shown) == 1


def test_images_are_looked_for_that_were_built_from_a_sites_mirrors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, ...]] = []
    mirror = "aiter-src=https://git.example.org/aiter.git#main"
    monkeypatch.setenv("ROCM_IMAGES_CONTEXT", mirror)
    monkeypatch.setattr(trust, "trust_of", lambda *_: Trust(key="cosign.pub"))
    monkeypatch.setattr(RealSite, "found_engine", lambda _: None)
    monkeypatch.setattr(module, "targets_of", lambda *_, contexts: asked.append(contexts) or [])
    words = ["sizes", "--registry", "r.example.org", "--key", "cosign.pub"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.exception
    assert asked == [(mirror,)]


def test_nobody_to_trust_is_a_sentence() -> None:
    done = CliRunner().invoke(main, ["sizes", "--registry", "r.example.org"])
    assert "say whose signatures to trust" in str(done.exception)
