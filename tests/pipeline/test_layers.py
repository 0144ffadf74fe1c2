"""Layers are compressed as asked, on a real engine and in a real registry; the base's stay.

With small images of a new content; test_publish.py looks at those of the recipe.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from conftest import PROJECT
from registry import Registry
from rehearsal import debian_packages
from rehearsal.engine import PrivateEngine
from rocm_images.engine.buildx import BuildRequest, Buildx, command, find_buildx
from rocm_images.engine.connect import Engine, connect
from rocm_images.engine.image_store import keeps_compressed, tell_what_is_pushed
from rocm_images.matrix.schema import Layers
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
from rocm_images.publishing.push import push
from rocm_images.recipe.compression import output
from rocm_images.recipe.labels import annotations_of, labels_of
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository

OCI = "application/vnd.oci.image.layer.v1.tar"
GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
GZIP_ALONE = Layers(compression="gzip")
# One with what takes an output of buildx apart.
ANNOTATIONS = {"org.example.gpus": "one, two = three", "org.example.url": "https://example.org/#a"}
DATE = {"SOURCE_DATE_EPOCH": "1700000000"}


@dataclass
class Images:
    """A base as a vendor has it, and images on it that one engine builds and pushes."""

    engine: Engine
    registry: Registry
    folder: Path
    name: str = field(default_factory=lambda: f"layers-{uuid.uuid4()}")
    buildx: Buildx = field(init=False)

    def __post_init__(self) -> None:
        self.buildx = find_buildx(self.engine)
        # Of a content that no build before had.
        for name in ("base", "added"):
            (self.folder / name).write_text(f"{self.name}\n" * 5000)
            os.utime(self.folder / name, (1_700_000_000, 1_700_000_000))
        (self.folder / "of-base").write_text("FROM scratch\nCOPY base /\n")
        (self.folder / "Dockerfile").write_text(f"FROM {self.name}:base\nCOPY added /\n")
        self._run(command(self.buildx, self.request("base", None, "of-base")))

    def request(
        self, tag: str, layers: Layers | None, dockerfile: str = "Dockerfile"
    ) -> BuildRequest:
        return BuildRequest(
            dockerfile=self.folder / dockerfile,
            directory=self.folder,
            references=(f"{self.name}:{tag}",),
            contexts={},
            labels={},
            log=self.folder / "log",
            build_args=DATE,
            layers=layers,
            annotations=ANNOTATIONS,
        )

    def build(self, layers: Layers, *words: str) -> str:
        """The id of an image, built as build.py does it."""
        asked = command(self.buildx, self.request("image", layers))
        begin = asked.index("build") + 1
        self._run([*asked[:begin], *words, *asked[begin:]])
        return self.id_of("image")

    def bake(self, target: Mapping[str, Any]) -> str:
        """The id of an image, built by bake alone."""
        path = self.folder / "bake.json"
        more = {"context": str(self.folder), "tags": [f"{self.name}:baked"], "args": DATE}
        path.write_text(json.dumps({"target": {"default": {**target, **more}}}))
        self._run([*self.buildx.command, "bake", f"--file={path}"])
        return self.id_of("baked")

    def _run(self, words: list[str]) -> None:
        environment = dict(self.buildx.environment)
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def id_of(self, tag: str) -> str:
        client = self.engine.client()
        try:
            return str(client.images.get(f"{self.name}:{tag}").id)
        finally:
            client.close()

    def pushed(self, image_id: str) -> Mapping[str, Any]:
        """The manifest that a registry has after a push, which is by the digest that was built."""
        repository = Repository(RegistryAddress.parse(self.registry.address), "layers")
        push(self.engine, image_id, repository, "pushed", lambda *_: None)
        manifest = repository.manifest("pushed")
        assert manifest is not None
        if keeps_compressed(self.engine):
            assert manifest.digest == image_id
        return manifest.document

    def content(self, path: str) -> bytes:
        """A file of the image as the engine has unpacked it."""
        client = self.engine.client()
        container = client.containers.create(f"{self.name}:image", ["/none"])
        try:
            chunks, _ = container.get_archive(path)
            with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
                (entry,) = archive.getmembers()
                file = archive.extractfile(entry)
                assert file is not None
                return file.read()
        finally:
            container.remove()
            client.close()

    def remove(self) -> None:
        client = self.engine.client()
        try:
            for image in client.images.list(self.name):
                client.images.remove(image.id, force=True)
        finally:
            client.close()


@pytest.fixture
def images(running_engine: Engine, registry: Registry, tmp_path: Path) -> Iterator[Images]:
    made = Images(running_engine, registry, tmp_path)
    yield made
    made.remove()


@pytest.fixture
def zstd(running_engine: Engine) -> str:
    """What layers of zstd are in a registry: an engine with a graph driver sends others."""
    return f"{OCI}+zstd" if keeps_compressed(running_engine) else GZIP


def kinds(manifest: Mapping[str, Any]) -> list[str]:
    return [layer["mediaType"] for layer in manifest["layers"]]


def test_added_layers_are_zstd_and_the_bases_are_those_of_the_vendors_image(
    images: Images, zstd: str
) -> None:
    theirs = images.pushed(images.id_of("base"))
    ours = images.pushed(images.build(Layers()))
    assert kinds(ours)[1:] == [zstd]
    assert kinds(ours)[0].endswith("gzip")
    assert ours["layers"][0]["digest"] == theirs["layers"][0]["digest"]
    # An engine with a graph driver makes the manifest anew, and knows of none.
    assert ours.get("annotations", {}) == (ANNOTATIONS if zstd != GZIP else {})
    assert images.content("/added") == (images.folder / "added").read_bytes()


def test_gzip_is_had_of_layers_that_the_build_cache_has_as_zstd(images: Images) -> None:
    first = images.pushed(images.build(Layers()))
    again = images.pushed(images.build(GZIP_ALONE))
    assert kinds(again) == [GZIP, GZIP]
    # The manifests that come with it have no annotations.
    assert "annotations" not in again
    assert first["config"]["digest"] == again["config"]["digest"]


def test_the_bases_layers_are_recompressed_on_request(images: Images, zstd: str) -> None:
    first = images.pushed(images.build(Layers()))
    again = images.pushed(images.build(Layers(recompress_base=True)))
    assert kinds(again) == [zstd, zstd]
    assert again["layers"][1] == first["layers"][1]
    assert images.content("/base") == (images.folder / "base").read_bytes()


@pytest.mark.parametrize(
    ("layers", "before"),
    [
        (Layers(), Layers()),
        (GZIP_ALONE, Layers()),
        (Layers(compression="zstd:9", recompress_base=True), GZIP_ALONE),
    ],
    ids=["zstd", "gzip after zstd", "all zstd after gzip"],
)
def test_the_same_layers_have_the_same_digest_without_a_cache(
    images: Images, layers: Layers, before: Layers
) -> None:
    # What is forced is made of what the build cache has, and is what it would be without.
    images.build(before)
    first = images.build(layers)
    assert images.build(layers, "--no-cache") == first


def test_bake_makes_the_digest_that_build_py_makes(images: Images) -> None:
    bake = json.loads((PROJECT / "docker-bake.json").read_text())
    target = next(iter(bake["target"].values()))
    cell = cells_of(load(PROJECT / "matrix.yaml"))[0]
    ours = output(Layers(), annotations=annotations_of(labels_of(cell)))
    assert target["output"] == [ours]
    kept = {"output": [output(Layers(), annotations=ANNOTATIONS)], "attest": target["attest"]}
    assert images.bake({**kept, "dockerfile": "Dockerfile"}) == images.build(Layers())


@pytest.fixture
def graph_driver(tmp_path: Path) -> Iterator[Engine]:
    """An engine that keeps its images as those before Docker 29 do."""
    packages = PrivateEngine().packages
    debian_packages.unpack(packages, debian_packages.distribution())
    folder = tmp_path / "graph-driver"
    folder.mkdir()
    (folder / "packages").symlink_to(packages)
    private = PrivateEngine(folder, containerd_store=False)
    private.start()
    yield connect({**os.environ, **private.environment()})
    private.stop()


def test_an_engine_with_a_graph_driver_builds_all_the_same_and_it_is_said_what_it_pushes(
    graph_driver: Engine,
    registry: Registry,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "small").mkdir()
    images = Images(graph_driver, registry, tmp_path / "small")
    for layers in (Layers(), Layers(recompress_base=True), GZIP_ALONE):
        pushed = images.pushed(images.build(layers))
        assert (kinds(pushed), "annotations" in pushed) == ([GZIP, GZIP], False)
    assert not keeps_compressed(graph_driver)
    tell_what_is_pushed(graph_driver, GZIP_ALONE)
    assert capsys.readouterr().err == ""
    tell_what_is_pushed(graph_driver, Layers())
    (line,) = capsys.readouterr().err.splitlines()
    assert "pushes them as gzip, not zstd" in line
    assert "containerd-snapshotter" in line


def test_an_engine_with_a_graph_driver_reads_layers_of_zstd(
    graph_driver: Engine, images: Images
) -> None:
    image_id = images.build(Layers(recompress_base=True))
    images.pushed(image_id)
    reference = f"{images.registry.address}/layers:pushed"
    client = graph_driver.client()
    try:
        pulled = client.images.pull(reference)
        assert len(pulled.attrs["RootFS"]["Layers"]) == 2
        saved = b"".join(images.engine.client().images.get(image_id).save())
        client.images.remove(reference)
        (loaded,) = client.images.load(saved)
        assert loaded.id == pulled.id
    finally:
        client.close()
