"""Publishing resumes where a failure stopped it, and no failure moves a tag alone."""

from __future__ import annotations

import http.client
import http.server
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conftest import Answer, Keys
from publishing_site import ROLLING, publish, tags, transaction
from registry import Registry
from rocm_images.engine.connect import Engine
from rocm_images.errors import RegistryError
from rocm_images.publishing.transaction import Phase
from serving import serving


@pytest.fixture
def olds(registry: Registry) -> dict[str, str]:
    """What the rolling tags name before."""
    return {tag: registry.push("sglang-rocm", tag, {"version": tag}) for tag in ROLLING}


def test_a_registry_killed_at_each_phase_leaves_every_rolling_tag_and_the_last_run_completes(
    olds: dict[str, str],
    rolling: Answer,
    real_engine: Engine,
    keys: Keys,
    registry: Registry,
    tmp_path: Path,
) -> None:
    # This channel has no scanner to ask.
    for phase in (one for one in Phase if one is not Phase.SCAN):

        def kill(begun: Phase, phase: Phase = phase) -> None:
            if begun is phase:
                registry.stop()

        with pytest.raises(RegistryError):
            transaction(registry.address, real_engine, keys, tmp_path, kill)()
        registry.start()
        assert tags(registry) == olds
    transaction(registry.address, real_engine, keys, tmp_path, lambda phase: None)()
    images = {cell["image_id"] for cell in rolling.summary.values()}
    assert set(tags(registry).values()) == images


@pytest.fixture
def half_pushed(
    rolling: Answer, real_engine: Engine, keys: Keys, registry: Registry, tmp_path: Path
) -> Callable[[], Any]:
    """A publication whose registry was killed in the middle of a push, and runs again."""

    def kill(text: str) -> None:
        if re.search(r": [5-9] of \d+ layers, \d", text):
            registry.stop()

    run = transaction(registry.address, real_engine, keys, tmp_path, lambda phase: None, kill)
    with pytest.raises(RegistryError, match="publishing again resumes"):
        run()
    registry.start()
    return transaction(registry.address, real_engine, keys, tmp_path, lambda phase: None)


def test_a_registry_killed_in_the_middle_of_a_push_loses_nothing_and_the_next_run_resumes(
    olds: dict[str, str], half_pushed: Callable[[], Any], registry: Registry
) -> None:
    assert tags(registry) == olds
    half_pushed()
    sent = registry.uploads()
    assert len(sent) == len(set(sent))
    assert set(tags(registry).values()).isdisjoint(olds.values())


def test_a_link_that_a_killed_registry_left_empty_is_named_and_without_it_publishing_resumes(
    half_pushed: Callable[[], Any], registry: Registry
) -> None:
    digest = registry.uploads()[0]
    link = registry.link("sglang-rocm", digest)
    link.write_bytes(b"")
    with pytest.raises(RegistryError, match=f"its operator removes .*/sha256/{digest}/link there"):
        half_pushed()
    link.unlink()
    half_pushed()
    assert set(ROLLING) <= set(tags(registry))


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

    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"127.0.0.1:{server.server_port}"


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
