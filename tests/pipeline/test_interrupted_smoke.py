"""A smoke test that is interrupted leaves no container, whatever the engine was doing for it."""

from __future__ import annotations

import signal
import time

import docker
import pytest

from conftest import BUILD_PY, Answer
from interrupted import STOP_SECONDS, started
from rocm_images.engine.containers import RUN, RUN_VARIABLE

CELL = "sglang-942-rocm7.2.2"


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
    # Others on this engine have containers too.
    own: set[str] = set()
    until = int(time.time()) + STOP_SECONDS
    events = client.events(decode=True, until=until, filters={"type": "container", "event": event})
    with started([*BUILD_PY, "smoke", "--rehearse", f"--image={image}"]) as run:
        seen = 0
        for one in events:
            own |= {str(run.process.pid), *run.values(RUN_VARIABLE)}
            seen += one["Actor"]["Attributes"].get(RUN) in own
            if seen == count:
                break
        assert seen == count
        for number in signals:
            run.process.send_signal(number)
        _, told = run.process.communicate(timeout=STOP_SECONDS)
        assert run.processes == []
    events.close()
    assert run.process.returncode == 128 + signals[0], told
    assert "Traceback" not in told
    # As docs/ending.md looks for what was left.
    found = client.api.containers(all=True, filters={"label": RUN})
    assert [container for container in found if container["Labels"][RUN] in own] == []
