"""Somebody without a key who writes what lists images, or carries them: catalogues and bundles."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attacked_site import CELL, OTHER, SHORT_TAG, TAG, Site, repository_of

from conftest import PROJECT, Answer
from publishing_site import listed, publish
from registry import Registry
from rocm_images.catalogue import file
from rocm_images.catalogue.schema import Catalogue
from rocm_images.catalogue.signed import Signed, bring, put_signed, signed, signed_in
from rocm_images.registry.trust import Signer


def with_a_foreign_entry(catalogue: Catalogue) -> Catalogue:
    image = catalogue.images[0].model_copy(update={"digest": f"sha256:{'6' * 64}"})
    return catalogue.model_copy(update={"images": (image, *catalogue.images[1:])})


def foreign_catalogues(site: Site) -> dict[str, Callable[[], None]]:
    there = signed_in(site.repository)
    assert there is not None
    content = file.text_of(with_a_foreign_entry(file.parse(there.content, "it"))).encode()
    cosign = site.cosign

    def of_another_key() -> None:
        path = PROJECT / "build" / "foreign-catalogue.json"
        path.write_bytes(content)
        try:
            signature = cosign.sign_file(path, Signer(str(site.keys.others)))
        finally:
            path.unlink()
        put_signed(site.repository, Signed(content, signature.encode()))

    return {
        "with our signature of another one": lambda: put_signed(
            site.repository, Signed(content, there.signature)
        ),
        "signed by another key": of_another_key,
        "without a signature": lambda: site.move("catalogue", TAG),
    }


@pytest.mark.parametrize(
    "kind",
    ["with our signature of another one", "signed by another key", "without a signature"],
)
def test_a_catalogue_that_somebody_else_wrote_recommends_nothing_and_is_not_kept(
    site: Site, registry: Registry, tmp_path: Path, kind: str
) -> None:
    foreign_catalogues(site)[kind]()
    folder = tmp_path / "fetched"
    there = ("--registry", site.registry.address, "--output", str(folder))
    fetched = site.run("catalogue", *there)
    assert fetched.code == 10, fetched.stderr
    assert not folder.exists()
    before = site.digest("catalogue")
    for verb, *words in (
        ("publish", *CELL),
        ("mirror", *CELL, "--to", registry.address),
        ("bundle", *CELL, "--output", str(tmp_path / "site.tar")),
    ):
        key = site.keys.ours if verb == "publish" else None
        refused = site.verb(verb, *words, key=key)
        assert refused.code == 10, (verb, refused.stderr)
    assert site.digest("catalogue") == before
    assert "--mend-catalogue" in site.verb("publish", *CELL, key=site.keys.ours).stderr
    anew = site.verb("publish", *CELL, "--mend-catalogue", key=site.keys.ours)
    assert anew.code == 0, anew.stderr
    assert [image.rocm for image in listed(site.keys, site.registry.address).images] == ["7.2.0"]


def test_a_catalogue_file_is_taken_with_its_signature_alone(site: Site, tmp_path: Path) -> None:
    there = ("--registry", site.registry.address, "--output", str(tmp_path))
    fetched = site.run("catalogue", *there)
    assert (fetched.code, "; of 20" in fetched.stderr) == (0, True), fetched.stderr
    path = tmp_path / "catalogue.json"
    pick = ("pick", "--arch", "942", "--catalogue", str(path))
    picked = site.run(*pick)
    assert picked.code == 0, picked.stderr
    foreign = file.text_of(with_a_foreign_entry(file.read(path)))
    path.write_text(foreign)
    assert site.run(*pick).code == 10
    assert site.run("run-args", SHORT_TAG, "--catalogue", str(path)).code == 10
    deploy = ("deploy", SHORT_TAG, "--as", "compose", "--model", "a/b", "--catalogue", str(path))
    assert site.run(*deploy).code == 10
    (tmp_path / "catalogue.sig.json").unlink()
    assert site.run(*pick).code == 2


def test_the_catalogue_of_another_repository_of_ours_stops_a_publication(
    site: Site, registry: Registry
) -> None:
    # Signed by us, and put here by somebody else: its images are not here.
    theirs = signed_in(site.repository)
    assert theirs is not None
    here = repository_of(registry)
    put_signed(here, theirs)
    before = registry.uploads()
    refused = publish(site.keys, registry.address, *CELL)
    assert (refused.code, "somebody put it here" in refused.stderr) == (10, True), refused.stderr
    assert registry.uploads() == before
    assert listed(site.keys, registry.address).images == ()
    published = publish(site.keys, registry.address, *CELL, "--mend-catalogue")
    assert published.code == 0, published.stderr
    found = listed(site.keys, registry.address)
    assert [image.rocm for image in found.images] == ["7.2.0"]
    assert {image.repository for image in found.images} == {str(here)}


def test_an_older_catalogue_of_ours_or_none_stops_a_publication(site: Site) -> None:
    now = signed_in(site.repository)
    assert now is not None
    cosign = site.cosign
    known = file.parse(now.content, "it")
    gone_back = [
        image.model_copy(update={"digest": f"sha256:{'5' * 64}"})
        if image.rocm == "7.2.2"
        else image
        for image in known.images
    ]
    older = known.model_copy(update={"images": tuple(gone_back)})
    put_signed(site.repository, signed(older, cosign, site.signer))
    refused = publish(site.keys, site.registry.address, *CELL)
    assert refused.code == 10
    assert "somebody put an older catalogue back" in refused.stderr
    # Whoever publishes that image again says what its tags are.
    assert publish(site.keys, site.registry.address, *OTHER).code == 0
    site.registry.remove("sglang-rocm", site.digest("catalogue"))
    refused = publish(site.keys, site.registry.address, *CELL)
    assert (refused.code, "somebody removed it" in refused.stderr) == (10, True), refused.stderr
    # An earlier run that stopped before the catalogue was written can be run again as it was.
    assert publish(site.keys, site.registry.address, "--arch", "942").code == 0
    assert len(listed(site.keys, site.registry.address).images) == 2


def test_a_mirror_keeps_a_newer_catalogue_than_the_one_that_was_put_back(
    site: Site, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    cosign = site.cosign
    trust, signer = site.trust, site.signer
    now = listed(site.keys, site.registry.address)
    old, new = (
        signed(now.model_copy(update={"updated": f"{year}-01-01T00:00:00+00:00"}), cosign, signer)
        for year in (2025, 2099)
    )
    here = repository_of(registry)
    for what in (old, new, old):
        bring(here, what, cosign, trust)
    assert signed_in(here) == new
    assert "keeps its catalogue of 2099" in capsys.readouterr().err
    # One that nobody who is trusted signed is no reason to keep it.
    put_signed(here, Signed(new.content, old.signature))
    bring(here, old, cosign, trust)
    assert signed_in(here) == old


@pytest.fixture(scope="module")
def bundled(attacked: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "site.tar"
    done = attacked.verb("bundle", *CELL, "--output", str(path))
    assert done.code == 0, done.stderr
    return path


def rewritten(bundled: Path, path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The bundle with another bundle.json."""
    with tarfile.open(bundled) as source, tarfile.open(path, "w") as archive:
        for member in source:
            content = source.extractfile(member)
            assert content is not None
            data = content.read()
            if member.name == "bundle.json":
                document = json.loads(data)
                change(document)
                data = json.dumps(document).encode()
                member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def _channel(document: dict[str, Any]) -> None:
    document["channel"] = "stable"


def _tags(document: dict[str, Any]) -> None:
    for image in document["images"]:
        image.update(rolling=["latest", "catalogue"], immutable="v9", cell="another")


def test_what_a_bundle_says_of_its_images_moves_no_tag(
    site: Site, bundled: Path, registry: Registry, tmp_path: Path
) -> None:
    def load(path: Path) -> Answer:
        words = ("publish", "--from", str(path), "--registry", registry.address, "--rehearse")
        return site.run(*words, "--output", str(tmp_path))

    here = repository_of(registry)
    promoted = load(rewritten(bundled, tmp_path / "channel.tar", _channel))
    assert promoted.code == 10, promoted.stderr
    assert "was never published to the channel stable" in promoted.stderr
    assert registry.uploads() == []
    loaded = load(rewritten(bundled, tmp_path / "tags.tar", _tags))
    assert loaded.code == 0, loaded.stderr
    assert here.digest_of(TAG) == site.digest(TAG)
    assert [here.digest_of(tag) for tag in ("latest", "v9")] == [None, None]


def test_a_bundle_that_is_older_than_what_is_there_changes_nothing(
    site: Site, bundled: Path, registry: Registry, tmp_path: Path
) -> None:
    output = tmp_path / "output"

    def load(*words: str) -> Answer:
        there = ("--from", str(bundled), "--registry", registry.address, "--rehearse")
        return site.run("publish", *there, "--output", str(output), *words)

    here = repository_of(registry)
    planned = load("--dry-run")
    assert (planned.code, TAG in planned.stdout) == (0, True), planned.stderr
    refused = load("--not-before", "2999-01-01")
    assert (refused.code, "was given that tag on 20" in refused.stderr) == (10, True)
    assert (registry.uploads(), output.exists()) == ([], False)
    cosign = site.cosign
    now = listed(site.keys, site.registry.address)
    newer = now.model_copy(update={"updated": "2099-01-01T00:00:00+00:00"})
    put_signed(here, signed(newer, cosign, site.signer))
    loaded = load()
    assert loaded.code == 0, loaded.stderr
    assert listed(site.keys, registry.address).updated == newer.updated
    assert file.read(output / "catalogue.json").updated == newer.updated


def test_a_bundle_with_a_foreign_image_beside_ours_is_refused(
    site: Site, bundled: Path, registry: Registry, tmp_path: Path
) -> None:
    """The layout names our image, which is signed, and bundle.json another one."""
    config = json.dumps({"config": {"Labels": {}}, "os": "linux", "architecture": "amd64"}).encode()
    kinds = "application/vnd.oci.image"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{kinds}.manifest.v1+json",
            "config": {
                "mediaType": f"{kinds}.config.v1+json",
                "digest": f"sha256:{hashlib.sha256(config).hexdigest()}",
                "size": len(config),
            },
            "layers": [],
        }
    ).encode()

    def foreign(document: dict[str, Any]) -> None:
        document["images"][0]["digest"] = f"sha256:{hashlib.sha256(manifest).hexdigest()}"

    path = rewritten(bundled, tmp_path / "foreign.tar", foreign)
    with tarfile.open(path, "a") as archive:
        for content in (config, manifest):
            member = tarfile.TarInfo(f"blobs/sha256/{hashlib.sha256(content).hexdigest()}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    words = ("publish", "--from", str(path), "--registry", registry.address, "--rehearse")
    refused = site.run(*words)
    assert refused.code == 10, refused.stderr
    assert registry.uploads() == []
