"""A smoke test that is interrupted leaves no container, whatever the engine was doing for it."""

from __future__ import annotations

import signal
from itertools import islice

import docker
import pytest

from conftest import BUILD_PY, Answer
from interrupted import started
from rocm_images.engine.containers import RUN

CELL = "sglang-942-rocm7.2.2"


def there(client: docker.DockerClient) -> set[str]:
    # As docs/ending.md looks for what was left.
    found = client.api.containers(all=True, filters={"label": RUN})
    return {container["Id"] for container in found}


@pytest.mark.parametrize(
    ("event", "count", "signals"),
    [
        # The emulator's, which is never started; then the image's own, and a command in it.
        ("create", 1, [signal.SIGINT]),
        ("create", 2, [signal.SIGTERM]),
        ("exec_start", 3, [signal.SIGINT, signal.SIGINT]),
    ],
)
def test_no_container_is_left(
    rehearsed: Answer,
    client: docker.DockerClient,
    event: str,
    count: int,
    signals: list[signal.Signals],
) -> None:
    image = rehearsed.summary[CELL]["image_id"]
    before = there(client)
    events = client.events(decode=True, filters={"type": "container", "event": event})
    with started([*BUILD_PY, "smoke", "--rehearse", f"--image={image}"]) as run:
        assert len([*islice(events, count)]) == count
        for number in signals:
            run.process.send_signal(number)
        _, told = run.process.communicate(timeout=120)
        assert run.processes == []
    events.close()
    assert run.process.returncode == 128 + signals[0], told
    assert "Traceback" not in told
    assert there(client) - before == set()
