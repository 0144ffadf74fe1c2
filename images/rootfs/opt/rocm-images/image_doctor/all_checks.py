"""The checks in the order of the report. One that breaks is a failed check, not a traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from image_doctor import (
    code_object_check,
    environment,
    guard_check,
    libraries,
    packages,
    preflight,
    runtime,
    support_check,
)
from image_doctor.check import Check, failed
from image_doctor.image import Image
from image_doctor.variable_check import check_variable

CheckFunction = Callable[[Image], Check | Iterable[Check]]

ALL: dict[str, CheckFunction] = {
    "description": environment.check_description,
    "rocm-release": environment.check_rocm_release,
    "hip-runtime": runtime.check_hip_runtime,
    "torch": packages.check_torch,
    "no-cuda": packages.check_no_cuda,
    "triton": packages.check_triton,
    "versions": packages.check_versions,
    "pip-check": packages.check_pip,
    "prebuilt-kernels": libraries.check_prebuilt_kernels,
    "code-objects": code_object_check.check_code_objects,
    "shared-libraries": libraries.check_shared_libraries,
    "all-reduce-variable": check_variable,
    "environment": environment.check_environment,
    "capture-guard": guard_check.check_capture_guard,
    "support": support_check.check_support,
    "machine": preflight.check_machine,
}


def run(image: Image) -> list[Check]:
    """Run every check on an image; none of them writes anything."""
    return [check for name, function in ALL.items() for check in _answers(name, function, image)]


def _answers(name: str, function: CheckFunction, image: Image) -> list[Check]:
    try:
        answer = function(image)
        return [answer] if isinstance(answer, Check) else list(answer)
    except Exception as error:  # a report with one broken check is worth more than none
        return [
            failed(
                name,
                f"the check itself broke: {type(error).__name__}: {error}.",
                "Report this with the output of `image-doctor --json`.",
            )
        ]
