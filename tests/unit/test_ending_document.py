"""docs/ending.md says after how long what is given up, as the program does it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rocm_images import clock, streams, supervisor
from rocm_images.ci import at_commit
from rocm_images.engine import client, images, logins, machine, patience
from rocm_images.lock import upstream
from rocm_images.publishing import scanning
from rocm_images.registry import cosign, cosign_version
from rocm_images.sbom import syft
from rocm_images.smoke import any_image, engine_image, run

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "ending.md").read_text()
UNITS = {"s": 1, "min": 60, "h": 3600}


def row(of: str) -> str:
    (found,) = [line for line in TEXT.splitlines() if line.startswith(f"| {of}")]
    return found.split("|")[2]


@pytest.mark.parametrize(
    ("of", "seconds"),
    [
        (
            "the Docker Engine",
            [patience.ASK_SECONDS, 10, patience.GIVE_UP_SECONDS, client.CALL_SECONDS],
        ),
        ("a registry, in a pull", [images.MOVING_SILENCE_SECONDS]),
        ("the tests of one image", [run.SECONDS, run.SERVING_SECONDS]),
        ("syft, for what one image holds", [syft.SECONDS, syft.CONVERT_SECONDS]),
        ("`build.py probe`", [any_image.SECONDS]),
        ("`evidence verify --image`", [engine_image.WAIT_SECONDS]),
        ("the scanner of a channel", [scanning.SECONDS]),
        ("the version of cosign", [cosign_version.SECONDS]),
        ("cosign", [cosign.SECONDS, cosign.MOVING_SECONDS]),
        ("a helper for Docker's passwords", [logins.HELPER_SECONDS]),
        ("git and registries", [upstream.TIMEOUT_SECONDS]),
        ("git, for `--changed-since`", [at_commit.GIT_SECONDS, at_commit.PLAN_SECONDS]),
        ("the kernel's driver", [machine.SECONDS]),
    ],
)
def test_what_does_not_answer_is_given_up_when_the_page_says(of: str, seconds: list[float]) -> None:
    said = re.findall(r"(\d+) (s|min|h)\b", row(of))
    assert [int(number) * UNITS[unit] for number, unit in said] == seconds


def test_an_answer_may_be_as_large_as_the_page_says() -> None:
    (said,) = re.findall(r"whose answer is larger\n(.*?)\.\n", TEXT)
    sizes = {"MiB": 1 << 20, "GiB": 1 << 30}
    assert [int(number) * sizes[unit] for number, unit in re.findall(r"(\d+) (\w+)", said)] == [
        streams.MOST_BYTES,
        cosign.MOST_BYTES,
        scanning.MOST_BYTES,
        upstream.MOST_BYTES,
        at_commit.MOST_BYTES,
    ]


def test_who_is_waited_for_is_named_when_the_page_says() -> None:
    assert re.findall(r"has not answered after (\d+) s", TEXT) == [f"{clock.SECONDS:g}"]


def test_a_signal_ends_a_run_step_by_step_as_the_page_says() -> None:
    killed = supervisor.GRACE_SECONDS
    removed = killed + supervisor.KILL_SECONDS
    told = removed + supervisor.UNDO_SECONDS
    steps = [0.0, killed, removed, told, supervisor.END_SECONDS]
    said = re.findall(r"^\| ([\d.]+) s\b", TEXT, re.MULTILINE)
    assert [float(number) for number in said] == steps
    assert sorted(steps) == steps
    assert steps[-1] < float(re.findall(r"within (\d+) s:", TEXT)[0])
