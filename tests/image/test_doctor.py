"""What the image holds fits its GPU and its labels, without a GPU being asked."""

from __future__ import annotations

from typing import Any

from testinfra.host import Host

from conftest import ImageUnderTest

# Each is proved to fail by tests/unit/image_doctor.
CHECKS = {
    "description",
    "rocm-release",
    "hip-runtime",
    "torch",
    "no-cuda",
    "triton",
    "versions",
    "pip-check",
    "prebuilt-kernels",
    "code-objects",
    "shared-libraries",
    "all-reduce-variable",
    "environment",
    "capture-guard",
}


def test_no_check_of_the_doctor_fails(image: ImageUnderTest, report: dict[str, Any]) -> None:
    failed = [check for check in report["checks"] if check["status"] == "fail"]
    assert not failed, "; ".join(f"{check['name']}: {check['found']}" for check in failed)


def test_every_check_that_needs_no_gpu_was_made(
    image: ImageUnderTest, report: dict[str, Any]
) -> None:
    made = {check["name"] for check in report["checks"] if check["status"] != "not-run"}
    assert made >= CHECKS


def test_the_all_reduce_variable_is_read_by_the_installed_server(
    image: ImageUnderTest, host: Host
) -> None:
    assert host.run("image-doctor variable").rc == 0
