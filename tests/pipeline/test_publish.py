"""Publishing is all or nothing, sends each layer once, and refuses what was not tested."""

from __future__ import annotations

import datetime
import json
import re
from dataclasses import replace
from pathlib import Path

import docker
import four_cells

from conftest import PROJECT, Answer, Keys, run_build_py
from publishing_site import CHANNEL, listed, publish, tags
from registry import Registry
from rocm_images.catalogue import bills
from rocm_images.engine.connect import Engine
from rocm_images.engine.image_store import keeps_compressed
from rocm_images.recipe.labels import BASE_DIGEST, REVISION, annotations_of
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.sbom.document import Bill
from rocm_images.smoke.evidence import Evidence, evidence_path


def test_publishing_sends_each_layer_once_and_again_nothing(
    rolling: Answer, keys: Keys, registry: Registry, real_engine: Engine, tmp_path: Path
) -> None:
    planned = publish(keys, registry.address, "--dry-run")
    assert (planned.code, registry.uploads()) == (0, []), planned.stderr
    first = publish(keys, registry.address)
    assert first.code == 0, first.stderr
    sent = registry.uploads()
    assert sent
    assert len(sent) == len(set(sent))
    images = {cell["image_id"] for cell in rolling.summary.values()}
    assert set(tags(registry).values()) == images
    # The base's layers as the vendor has them, and then the recipe's.
    repository = Repository(RegistryAddress.parse(registry.address), "sglang-rocm")
    ours = "zstd" if keeps_compressed(real_engine) else "gzip"
    for digest in images:
        manifest = repository.manifest(digest)
        assert manifest is not None
        # What a registry shows of an image, where the engine that pushes keeps manifests.
        said = manifest.document.get("annotations", {})
        labels = repository.blob(manifest.document["config"]["digest"])
        if keeps_compressed(real_engine):
            assert said == annotations_of(json.loads(labels)["config"]["Labels"])
            assert said["org.opencontainers.image.created"] == "2026-11-24T00:00:00Z"
            # What stands in for the base and the server has neither.
            assert not {BASE_DIGEST, REVISION} & said.keys()
        kinds = [layer["mediaType"][-4:] for layer in manifest.document["layers"]]
        added = kinds.count(ours)
        assert added > 5
        assert kinds == ["gzip"] * (len(kinds) - added) + [ours] * added
    assert len(re.findall(rf"layers? sent +\d+ {ours} +signed", first.stdout)) == 4

    # What a person reads, and a machine that knows nothing but the registry.
    page = (PROJECT / "build" / "catalogue.html").read_text()
    assert all(image in page for image in images)
    linked = set(re.findall(r'href="(sboms/[0-9a-f]{64}\.cdx\.json)" download', page))
    assert linked == {bills.name_of(image) for image in images}
    for link in linked:
        Bill.of_document(json.loads((PROJECT / "build" / link).read_text()))
    catalogue = listed(keys, registry.address)
    assert {image.digest for image in catalogue.images} == images
    assert {image.stand_in for image in catalogue.images} == {True}
    assert all(image.shared > image.size / 2 for image in catalogue.images)

    # Whoever deploys needs nothing but the registry's address and the public key.
    fetched = tmp_path / "fetched"
    trust = ("--key", str(keys.our_public))
    words = ("catalogue", "--registry", registry.address, "--output", str(fetched), *trust)
    assert run_build_py(*words, environment=keys.environment).code == 0
    pick = ("pick", "--arch", "942", "--catalogue", f"{fetched}/catalogue.json", *trust)
    picked = run_build_py(*pick, environment=keys.environment)
    digest = rolling.summary["sglang-942-rocm7.2.2"]["image_id"]
    assert picked.stdout.strip() == repository.reference(digest)

    before = len(registry.requests())
    second = publish(keys, registry.address)
    assert second.code == 0, second.stderr
    assert not re.search("layers? sent", second.stdout)
    asked = registry.requests()[before:]
    assert [one for one in asked if not one.startswith(("GET", "HEAD"))] == []


def test_an_image_without_evidence_of_this_image_is_not_published(
    rolling: Answer, keys: Keys, registry: Registry
) -> None:
    image_id = rolling.summary["sglang-942-rocm7.2.0"]["image_id"]
    folder = PROJECT / "build" / "evidence"
    path = evidence_path(folder, image_id)
    evidence = Evidence.read(folder, image_id)
    assert evidence is not None
    try:
        path.unlink()
        refused = publish(keys, registry.address)
        assert refused.code == 8
        assert "sglang-942-rocm7.2.0: no evidence for image" in refused.stderr
        assert "build.py smoke --server sglang --arch 942 --base 7.2.0" in refused.stderr
        replace(evidence, passed=False).write(folder)
        assert "failed its smoke test" in publish(keys, registry.address).stderr
        # A file that somebody made better by hand is none.
        path.write_text(path.read_text().replace('"passed": false', '"passed": true'))
        assert "no evidence for image" in publish(keys, registry.address).stderr
        other = rolling.summary["sglang-942-rocm7.2.2"]["image_id"]
        evidence_path(folder, other).replace(path.with_suffix(".kept"))
        replace(evidence, image_id=other).write(folder).replace(path)
        path.with_suffix(".kept").replace(evidence_path(folder, other))
        assert "no evidence for image" in publish(keys, registry.address).stderr
    finally:
        evidence.write(folder)
    assert registry.uploads() == []
    assert publish(keys, registry.address, "--arch", "942", "--base", "7.2.0").code == 0


def test_a_channel_refuses_what_was_tested_on_less(
    rolling: Answer, keys: Keys, registry: Registry
) -> None:
    refused = publish(keys, registry.address, "--channel", "stable")
    assert refused.code == 8
    assert "requires evidence of level gpu" in refused.stderr
    assert registry.uploads() == []


def test_a_rehearsal_is_published_on_this_machine_only(rolling: Answer, keys: Keys) -> None:
    # No request is sent there: the name cannot be resolved, and need not be.
    for verb in ("publish", "push"):
        refused = publish(keys, "registry.invalid", verb=verb)
        assert refused.code == 8
        assert refused.stderr.count("is a rehearsal: stand-ins take the place of ROCm in it") == 4


def test_an_immutable_tag_is_never_overwritten(
    rolling: Answer, keys: Keys, client: docker.DockerClient, registry: Registry
) -> None:
    image = client.images.get(rolling.summary["sglang-942-rocm7.2.0"]["image_id"])
    immutable = next(tag for tag in image.tags if re.search(r"rehearsal-[0-9a-f]{12}$", tag))
    tag = immutable.rpartition(":")[2]
    other = registry.push("sglang-rocm", tag, {"another": "image"})
    refused = publish(keys, registry.address)
    assert refused.code == 8
    assert "an immutable tag is never overwritten" in refused.stderr
    repository = Repository(RegistryAddress.parse(registry.address), "sglang-rocm")
    assert repository.digest_of(tag) == other


def test_rolling_back_brings_the_first_versions_digests_back(
    rolling: Answer,
    keys: Keys,
    client: docker.DockerClient,
    registry: Registry,
    tmp_path: Path,
) -> None:
    cell = ("--arch", "942", "--base", "7.2.2")
    assert publish(keys, registry.address, *cell).code == 0
    first = {tag: digest for tag, digest in tags(registry).items() if digest}
    assert len(first) == 2
    image = client.images.get(rolling.summary["sglang-942-rocm7.2.2"]["image_id"])
    immutable = next(tag for tag in image.tags if re.search(r"rehearsal-[0-9a-f]{12}$", tag))

    # A second version: the same cell with another variable, so that its last layers differ.
    matrix = tmp_path / "matrix.yaml"
    variable = "    env:\n      SGLANG_SECOND_VERSION: {value: '1', why: this test}\n"
    text = four_cells.PATH.read_text().replace("    env:\n", variable, 1)
    tight = re.sub("budget: .*", "budget: {compressed: 20 GB, delta: 1 kB}", text)
    matrix.write_text(tight)
    version = ("--matrix", str(matrix))
    built = run_build_py(*cell, "--rehearse", *version)
    assert built.code == 0, built.stderr

    # The channel's scanner finds something: pushed, and nobody signs it.
    scan = "    suffix: -preview\n    scan: {command: [./scanner, '{sbom}'], at_most: low}\n"
    scanner, answer = tmp_path / "scanner", tmp_path / "answer.json"
    scanner.write_text('#!/bin/sh\ncp "$1" given.json\ncat answer.json\n')
    scanner.chmod(0o755)
    finding = {"id": "CVE-2099-0001", "ratings": [{"severity": "high"}]}
    answer.write_text(json.dumps({"bomFormat": "CycloneDX", "vulnerabilities": [finding]}))
    text, tight = (one.replace("    suffix: -preview\n", scan, 1) for one in (text, tight))
    matrix.write_text(tight)
    dry = publish(keys, registry.address, *cell, *version, "--dry-run")
    assert (dry.code, "CVE-2099-0001" in dry.stderr) == (8, True), dry.stderr
    (tmp_path / "given.json").unlink()
    before = registry.requests()
    found = publish(keys, registry.address, *cell, *version)
    assert (found.code, "CVE-2099-0001" in found.stderr) == (8, True), found.stderr
    assert "metadata" in json.loads((tmp_path / "given.json").read_text())
    written = [one for one in registry.requests()[len(before) :] if one.startswith("PUT")]
    assert not [one for one in written if re.search(r"/manifests/(?!v0)", one)], written
    answer.write_text(json.dumps({"bomFormat": "CycloneDX", "vulnerabilities": []}))

    # What nodes would have to pull beside the first is more than the channel allows.
    refused = publish(keys, registry.address, *cell, *version)
    assert refused.code == 8, refused.stderr
    assert re.search(r"those that \S+ lacks are \S+ kB compressed", refused.stderr)
    assert re.search(r"kB (new|grew, was|changed, was).*: serving, ", refused.stderr)
    explained = re.search(r"`python build.py (diff \S+ \S+ --rehearse)`", refused.stderr)
    assert explained
    assert run_build_py(*explained[1].split()).code == 0
    assert {tag: digest for tag, digest in tags(registry).items() if digest} == first
    matrix.write_text(text)
    assert publish(keys, registry.address, *cell, *version).code == 0
    second = {tag: digest for tag, digest in tags(registry).items() if digest}
    assert set(first) == set(second)
    assert set(first.values()).isdisjoint(second.values())

    # What a rollback may go back to is not dropped, however old it is.
    yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    pruned = run_build_py(
        *("prune", "--rehearse", "--registry", registry.address, "--sign-key", str(keys.ours)),
        *("--older-than", "0", "--keep-history", "1", "--yes"),
        *("--not-before", yesterday.date().isoformat()),
        environment=keys.environment,
    )
    assert (pruned.code, "no image may go" in pruned.stdout) == (0, True), pruned.stderr

    # At a mirror, whoever has only the public key moves the tags, and the list stays.
    reference = f"{registry.address}/sglang-rocm:{next(iter(first))}"
    to = ("rollback", *CHANNEL, "--registry", registry.address, "--to")
    back = run_build_py(
        *(*to, immutable.rpartition(":")[2], "--key", str(keys.our_public)),
        environment=keys.environment,
    )
    assert back.code == 0, back.stderr
    assert "only the holder of the private key can sign it" in back.stderr
    assert {tag: digest for tag, digest in tags(registry).items() if digest} == first
    catalogue = listed(keys, registry.address)
    assert {image.digest for image in catalogue.images} == set(second.values())

    # The publisher signs that the earlier image has the tags again, from now on.
    assert publish(keys, registry.address, *cell, *version).code == 0
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    late = ("pull", reference, "--key", str(keys.our_public), "--not-before", date)
    back = run_build_py(
        *(*to, immutable.rpartition(":")[2], "--sign-key", str(keys.ours)),
        environment=keys.environment,
    )
    assert back.code == 0, back.stderr
    assert {tag: digest for tag, digest in tags(registry).items() if digest} == first
    again = run_build_py(*late, environment=keys.environment)
    assert again.code == 0, again.stderr
    # The engine had the image, and has this name of it from the pull.
    client.images.remove(reference)
    catalogue = listed(keys, registry.address)
    assert {image.digest for image in catalogue.images} == set(first.values())
    assert {image.digest for image in catalogue.history} == set(second.values())
    unknown = run_build_py(
        *(*to, "v0-none", "--key", str(keys.our_public)), environment=keys.environment
    )
    assert (unknown.code, "has no tag 'v0-none'" in unknown.stderr) == (2, True)


def test_a_signing_key_that_cannot_be_used_is_refused_before_anything_is_sent(
    rolling: Answer, keys: Keys, registry: Registry, tmp_path: Path
) -> None:
    wrong = {**keys.environment, "COSIGN_PASSWORD": "wrong"}
    words = ("publish", *CHANNEL, "--registry", registry.address)
    refused = run_build_py(*words, "--sign-key", str(keys.ours), environment=wrong)
    assert (refused.code, "set COSIGN_PASSWORD" in refused.stderr) == (2, True)
    none = ("--sign-key", str(tmp_path / "none"))
    missing = run_build_py(*words, *none, environment=keys.environment)
    assert (missing.code, "--sign-key: cannot read" in missing.stderr) == (2, True)
    pairless = ("--sign-key", str(keys.ours), "--key", str(keys.others_public))
    others = run_build_py(*words, *pairless, environment=keys.environment)
    assert (others.code, "is not the public key of --sign-key" in others.stderr) == (2, True)
    nobody = run_build_py(*words, environment=keys.environment)
    assert (nobody.code, "say who signs" in nobody.stderr) == (2, True)
    assert registry.uploads() == []
