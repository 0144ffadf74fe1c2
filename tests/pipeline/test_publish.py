"""Publishing is all or nothing, sends each layer once, and resumes where a failure stopped it."""

from __future__ import annotations

import http.client
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import four_cells
import pytest

from conftest import PROJECT, Answer, Keys, run_build_py
from registry import Registry
from rehearsal.stand_ins import Rehearsal
from rocm_images.build.targets import targets_of, with_found
from rocm_images.engine.connect import Engine
from rocm_images.errors import RegistryError
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
from rocm_images.publishing.candidates import Rules
from rocm_images.publishing.catalogued import catalogue_in
from rocm_images.publishing.transaction import Phase, Transaction, own_trust
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository, Retries
from rocm_images.registry.cosign import Cosign, Signer
from rocm_images.smoke.evidence import Evidence, evidence_path

CHANNEL = ("--channel", "preview", "--rehearse")
ROLLING = [
    f"v0.5.21-{middle}-rehearsal-preview"
    for middle in ("rocm720-mi30x", "rocm722-mi30x", "mi30x")
    + ("rocm720-mi35x", "rocm722-mi35x", "mi35x")
]
QUICK = Retries(attempts=2, first_wait=0.01, longest_wait=0.02)


def publish(keys: Keys, registry: str, *words: str, verb: str = "publish") -> Answer:
    return run_build_py(
        *(verb, *CHANNEL, "--registry", registry, "--key", str(keys.ours), *words),
        environment=keys.environment,
    )


def tags(registry: Registry) -> dict[str, str | None]:
    """Where each rolling tag is."""
    repository = Repository(RegistryAddress.parse(registry.address), "sglang-rocm", retries=QUICK)
    return {tag: repository.digest_of(tag) for tag in ROLLING}


class Watched:
    """A progress that calls back at each step of a cell."""

    def __init__(self, on_step: Callable[[str], None]) -> None:
        self._on_step = on_step

    def step(self, _: str, text: str) -> None:
        self._on_step(text)

    def done(self, cell: str, text: str) -> None: ...

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None: ...


def transaction(
    registry: str,
    engine: Engine,
    keys: Keys,
    folder: Path,
    on_phase: Callable[[Phase], None],
    on_step: Callable[[str], None] = lambda text: None,
) -> Callable[[], Any]:
    """A publication of all four cells, in this process, that can be watched."""
    path = four_cells.PATH
    matrix = load(path)
    rehearsal = Rehearsal()
    inputs = with_found(rehearsal.engine(), targets_of(rehearsal, path, matrix, cells_of(matrix)))
    address = RegistryAddress.parse(registry)
    repository = Repository(address, "sglang-rocm", retries=QUICK)
    cosign = Cosign(address, keys.environment)
    channel = matrix.channels["preview"]
    evidence = PROJECT / "build" / "evidence"
    signer = Signer(str(keys.ours))
    rules = own_trust(Rules(repository, "preview", channel, evidence, cosign, None), signer, folder)
    work = Transaction(rules, engine, signer, Watched(on_step), on_phase)
    return lambda: work.run(work.check(inputs), move_tags=True)


def test_publishing_sends_each_layer_once_and_again_nothing(
    rolling: Answer, keys: Keys, registry: Registry, tmp_path: Path
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

    # What a person reads, and a machine that knows nothing but the registry.
    page = (PROJECT / "build" / "catalogue.html").read_text()
    assert all(image in page for image in images)
    repository = Repository(RegistryAddress.parse(registry.address), "sglang-rocm")
    catalogue = catalogue_in(repository)
    assert catalogue is not None
    assert {image.digest for image in catalogue.images} == images
    assert {image.stand_in for image in catalogue.images} == {True}
    assert all(image.shared > image.size / 2 for image in catalogue.images)

    # Whoever deploys needs nothing but the registry's address.
    fetched = tmp_path / "fetched"
    words = ("catalogue", "--registry", registry.address, "--output", str(fetched))
    assert run_build_py(*words).code == 0
    picked = run_build_py("pick", "--arch", "942", "--catalogue", f"{fetched}/catalogue.json")
    digest = rolling.summary["sglang-942-rocm7.2.2"]["image_id"]
    assert picked.stdout.strip() == repository.reference(digest)

    before = len(registry.requests())
    second = publish(keys, registry.address)
    assert second.code == 0, second.stderr
    assert "layers sent" not in second.stdout
    asked = registry.requests()[before:]
    assert [one for one in asked if not one.startswith(("GET", "HEAD"))] == []


def test_a_registry_killed_at_each_phase_leaves_every_rolling_tag_and_the_last_run_completes(
    rolling: Answer, real_engine: Engine, keys: Keys, registry: Registry, tmp_path: Path
) -> None:
    old = {tag: registry.push("sglang-rocm", tag, {"version": tag}) for tag in ROLLING}
    for phase in Phase:

        def kill(begun: Phase, phase: Phase = phase) -> None:
            if begun is phase:
                registry.stop()

        with pytest.raises(RegistryError):
            transaction(registry.address, real_engine, keys, tmp_path, kill)()
        registry.start()
        assert tags(registry) == old
    transaction(registry.address, real_engine, keys, tmp_path, lambda phase: None)()
    images = {cell["image_id"] for cell in rolling.summary.values()}
    assert set(tags(registry).values()) == images


def test_a_registry_killed_in_the_middle_of_a_push_loses_nothing_and_the_next_run_resumes(
    rolling: Answer, real_engine: Engine, keys: Keys, registry: Registry, tmp_path: Path
) -> None:
    old = {tag: registry.push("sglang-rocm", tag, {"version": tag}) for tag in ROLLING}

    def kill(text: str) -> None:
        if re.search(r": [5-9] of \d+ layers", text):
            registry.stop()

    run = transaction(registry.address, real_engine, keys, tmp_path, lambda phase: None, kill)
    with pytest.raises(RegistryError, match="publishing again resumes"):
        run()
    registry.start()
    assert tags(registry) == old
    transaction(registry.address, real_engine, keys, tmp_path, lambda phase: None)()
    sent = registry.uploads()
    assert len(sent) == len(set(sent))
    assert set(tags(registry).values()).isdisjoint(old.values())


@contextmanager
def failing_network(registry: Registry, fails: Callable[[str], bool]) -> Iterator[str]:
    """A stand-in for a bad network before the registry: what `fails` is answered by 503."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def _forward(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if fails(f"{self.command} {self.path}"):
                self.send_error(503)
                return
            upstream = http.client.HTTPConnection(registry.address, timeout=30)
            upstream.request(self.command, self.path, data, dict(self.headers))
            answer = upstream.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name != "Transfer-Encoding":
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            upstream.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = _forward

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_tag_that_cannot_be_moved_moves_the_others_back(
    rolling: Answer, real_engine: Engine, keys: Keys, registry: Registry, tmp_path: Path
) -> None:
    assert publish(keys, registry.address, verb="push").code == 0
    assert set(tags(registry).values()) == {None}
    old = {tag: registry.push("sglang-rocm", tag, {"version": tag}) for tag in ROLLING}
    moved: list[str] = []

    def fails(request: str) -> bool:
        moved.extend(tag for tag in ROLLING if request == f"PUT /v2/sglang-rocm/manifests/{tag}")
        return request.endswith(f"PUT /v2/sglang-rocm/manifests/{ROLLING[3]}")

    with failing_network(registry, fails) as address:
        run = transaction(address, real_engine, keys, tmp_path, lambda phase: None)
        with pytest.raises(RegistryError, match="every rolling tag is where it was"):
            run()
    assert moved[:3] == ROLLING[:3]
    assert tags(registry) == old


def test_a_failure_that_passes_is_tried_again(
    rolling: Answer, real_engine: Engine, keys: Keys, registry: Registry, tmp_path: Path
) -> None:
    assert publish(keys, registry.address, verb="push").code == 0
    failed: set[str] = set()

    def fails(request: str) -> bool:
        new = "/manifests/v0.5.21" in request and request not in failed
        failed.add(request)
        return new

    with failing_network(registry, fails) as address:
        transaction(address, real_engine, keys, tmp_path, lambda phase: None)()
    assert failed
    assert None not in tags(registry).values()


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
        assert "build.py smoke --arch 942 --base 7.2.0" in refused.stderr
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

    # A second version: the same cell with another label, which is part of the build id.
    matrix = tmp_path / "matrix.yaml"
    text = four_cells.PATH.read_text()
    matrix.write_text(text.replace("  title: ", "  title: The second version of ", 1))
    version = ("--matrix", str(matrix))
    built = run_build_py(*cell, "--rehearse", *version)
    assert built.code == 0, built.stderr
    assert publish(keys, registry.address, *cell, *version).code == 0
    second = {tag: digest for tag, digest in tags(registry).items() if digest}
    assert set(first) == set(second)
    assert set(first.values()).isdisjoint(second.values())

    back = run_build_py(
        *("rollback", *CHANNEL, "--registry", registry.address, "--key", str(keys.our_public)),
        *("--to", immutable.rpartition(":")[2]),
    )
    assert back.code == 0, back.stderr
    assert {tag: digest for tag, digest in tags(registry).items() if digest} == first
    repository = Repository(RegistryAddress.parse(registry.address), "sglang-rocm")
    catalogue = catalogue_in(repository)
    assert catalogue is not None
    assert {image.digest for image in catalogue.images} == set(first.values())
    assert {image.digest for image in catalogue.history} == set(second.values())
    unknown = run_build_py(
        *("rollback", *CHANNEL, "--registry", registry.address, "--key", str(keys.our_public)),
        *("--to", "v0-none"),
    )
    assert (unknown.code, "has no tag 'v0-none'" in unknown.stderr) == (2, True)


def test_a_signing_key_that_cannot_be_used_is_refused_before_anything_is_sent(
    rolling: Answer, keys: Keys, registry: Registry, tmp_path: Path
) -> None:
    wrong = {**keys.environment, "COSIGN_PASSWORD": "wrong"}
    words = ("publish", *CHANNEL, "--registry", registry.address)
    refused = run_build_py(*words, "--key", str(keys.ours), environment=wrong)
    assert (refused.code, "set COSIGN_PASSWORD" in refused.stderr) == (2, True)
    missing = run_build_py(*words, "--key", str(tmp_path / "none"), environment=keys.environment)
    assert (missing.code, "cannot read" in missing.stderr) == (2, True)
    nobody = run_build_py(*words, environment=keys.environment)
    assert (nobody.code, "say who signs" in nobody.stderr) == (2, True)
    assert registry.uploads() == []
