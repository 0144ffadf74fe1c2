"""No server is started on what is no GPU, and each kind of that has a sentence of its own."""

from __future__ import annotations

import pytest

from graph_probe.device import Device, RuntimeFacts
from graph_probe.emulator import Emulator
from graph_probe.exit_codes import ExitCode, ProbeError
from image_servers import SERVERS
from serve_probe import machine

STAND_IN = RuntimeFacts("hip", "/l", 70253211, "text", True)
EMULATED = RuntimeFacts("hip", "/l", 70253211, "text", False, "ab", Emulator("/e", "cd", "1"))


@pytest.mark.parametrize(
    ("facts", "said"), [(STAND_IN, "is the HIP stand-in"), (EMULATED, "is on emulated GPUs")]
)
def test_a_stand_in_and_emulated_gpus_are_refused_as_what_they_are(
    monkeypatch: pytest.MonkeyPatch, facts: RuntimeFacts, said: str
) -> None:
    device = Device(0, "no GPU", "gfx942", "gfx942")
    monkeypatch.setattr(machine, "_ask", lambda backend: (facts, (device,)))
    with pytest.raises(ProbeError, match=said) as caught:
        machine.describe("auto", None, SERVERS["sglang"])
    assert caught.value.code is ExitCode.NO_RUNTIME_OR_DEVICE


@pytest.mark.parametrize(
    ("backend", "version", "environment", "declared"),
    [
        ("cuda", "0.27.1", {"VLLM_ROCM_USE_AITER": "1"}, None),
        ("hip", "0.27.1", {"VLLM_ROCM_USE_AITER": "1"}, "aiter"),
        ("hip", "0.27.1", {"VLLM_ROCM_USE_AITER": "0"}, "vllm"),
        ("hip", "0.18.1", {"VLLM_ROCM_USE_AITER": "1"}, "vllm"),
    ],
)
def test_the_all_reduce_is_declared_by_the_release_and_the_environment(
    backend: str, version: str, environment: dict[str, str], declared: str | None
) -> None:
    facts = RuntimeFacts(backend, "/l", 70253211, "text", False)
    served = machine.Machine(facts, (), {"vllm": version})
    assert machine.declared_all_reduce(served, SERVERS["vllm"], environment) == declared
