"""A session with scripted children: no missing result can look like a pass."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from graph_probe.cases import CASES, Kind
from graph_probe.channel import Message
from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.findings import Findings
from graph_probe.options import parse
from graph_probe.session import Session
from graph_probe.supervisor import Ended


class Scripted:
    """A child, and what it says when its turn comes."""

    def __init__(self, name: str, says: list[Message | Ended]) -> None:
        self.name, self.says, self.told = name, says, []  # type: ignore[var-annotated]
        self.phase = "working"

    def tell(self, **content: object) -> None:
        self.told.append(content)

    def log_tail(self) -> str:
        return ""


SURVIVED = [0, 1, 0, True, 11, 11, ""]
RUNTIME = ["hip", "/lib/libamdhip64.so", 70253211, "text", True]
LEAD: list[Message | Ended] = [
    {"kind": "library", "libraries": ["hip", "a", "b", "a"], "guard": None},
    {"kind": "runtime", "runtime": RUNTIME, "devices": [[0, "n", "gfx942", "gfx942"]]},
    {"kind": "code", "path": "/code", "load": 0.1, "compile": 0.2},
]
TOKENS = [[[5, 6]]]
PASSES = [TOKENS, TOKENS, 1.0, 0.5]
DECODED: Message = {"kind": "decoded", "run": [[[1, PASSES, PASSES]], True, 44, 0.1]}
READY: Message = {"kind": "ready", "seconds": 0.1}
REFERENCE: list[Message | Ended] = [{"kind": "reference", "rows": [[10, [5, 6]]]}, Ended(0)]


class Stage:
    """In the supervisor's place: starts children from a script, in turn."""

    def __init__(self, scripts: dict[str, list[Message | Ended]], dying: int | None = None) -> None:
        self.scripts, self.dying = scripts, dying
        self.children: list[Scripted] = []
        self.environments: list[dict[str, str]] = []

    def start(self, name: str, specification: dict[str, object], **environment: str) -> Scripted:
        says = list(self.scripts.get(str(specification["role"]), []))
        if specification["role"] == "case":
            self.environments.append(environment)
            died = specification["case"] == self.dying
            says = [Ended(-11)] if died else [{"kind": "observed", "observation": SURVIVED}]
        self.children.append(Scripted(name, says))
        return self.children[-1]

    def messages(self) -> Iterator[tuple[Scripted, Message | Ended]]:
        while any(child.says for child in self.children):
            for child in list(self.children):
                if child.says:
                    yield child, child.says.pop(0)


def play(stage: Stage, arguments: list[str], environment: dict[str, str] | None = None) -> Findings:
    findings = Findings()
    options = parse(arguments)
    session = Session(stage, options, environment or {}, findings, lambda text: None)  # type: ignore[arg-type]
    session.run("/folder", None, None)
    return findings


def test_a_whole_script_gives_all_findings() -> None:
    stage = Stage({"lead": [*LEAD, READY, DECODED, Ended(0)], "reference": REFERENCE})
    findings = play(stage, ["run", "--batch", "1", "--steps", "2"])
    assert findings.capture is not None
    assert findings.capture.safe
    assert findings.decode is not None
    assert findings.decode.problem is None
    assert stage.children[0].told == [{"watchdog": True}]


@pytest.mark.parametrize(
    "scripts",
    [
        {"lead": [*LEAD, READY, DECODED, Ended(0)], "reference": [Ended(0)]},
        {"lead": [*LEAD, READY, Ended(0)], "reference": REFERENCE},
        {"lead": [*LEAD, Ended(0)], "reference": REFERENCE},
        {"lead": [Ended(0)], "reference": REFERENCE},
        {"lead": [], "reference": []},
    ],
)
def test_children_that_end_without_their_results_are_no_pass(
    scripts: dict[str, list[Message | Ended]],
) -> None:
    with pytest.raises(ProbeError) as caught:
        play(Stage(scripts), ["run", "--batch", "1", "--steps", "2"])
    assert caught.value.code is ExitCode.PROBE_DEFECT


@pytest.mark.parametrize("index", range(len(CASES)))
def test_a_case_that_dies_ends_the_probe_only_where_it_decides_the_verdict(index: int) -> None:
    stage = Stage({"lead": [*LEAD, Ended(0)]}, dying=index)
    if CASES[index].kind is Kind.MUST_SURVIVE:
        with pytest.raises(ProbeError, match="died on SIGSEGV") as caught:
            play(stage, ["capture"])
        assert caught.value.code is ExitCode.DIED_ON_SIGNAL
    else:
        capture = play(stage, ["capture"]).capture
        assert capture is not None
        assert "SIGSEGV" in capture.outcomes[index].seen.description


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ({}, {"HIP_VISIBLE_DEVICES": "0"}),
        ({"HIP_VISIBLE_DEVICES": "3,1"}, {"HIP_VISIBLE_DEVICES": "3"}),
        ({"CUDA_VISIBLE_DEVICES": "2,3"}, {"CUDA_VISIBLE_DEVICES": "2"}),
    ],
)
def test_each_case_sees_the_first_of_the_devices_that_the_probe_sees(
    given: dict[str, str], passed: dict[str, str]
) -> None:
    stage = Stage({"lead": [*LEAD, Ended(0)]})
    play(stage, ["capture"], given)
    assert stage.environments == [passed] * len(CASES)


def test_a_child_that_reports_an_error_ends_the_probe_with_its_code() -> None:
    failed: Message = {"kind": "error", "code": 21, "sentence": "Device 0 is gfx942."}
    with pytest.raises(ProbeError, match="gfx942") as caught:
        play(Stage({"lead": [*LEAD[:2], failed]}), ["capture"])
    assert caught.value.code is ExitCode.WRONG_GFX


class Again(Scripted):
    """A child of a CUDA case: it takes every further case that it is told."""

    def __init__(self, stage: CudaStage, name: str, case: int) -> None:
        super().__init__(name, [stage.observed(case)])
        self.stage = stage

    def tell(self, **content: object) -> None:
        super().tell(**content)
        if isinstance(content.get("case"), int):
            self.says.append(self.stage.observed(int(str(content["case"]))))


class CudaStage(Stage):
    """As Stage, on CUDA, with the given cases dying."""

    def __init__(self, deadly: set[int]) -> None:
        lead = [{**LEAD[0], "libraries": ["cuda", "a", "b", "a"]}, *LEAD[1:], Ended(0)]  # type: ignore[dict-item]
        super().__init__({"lead": lead})
        self.deadly = deadly
        self.order: list[int] = []

    def observed(self, case: int) -> Message:
        self.order.append(case)
        dead = [900, 2, 901, False, -1, 11, ""]
        return {"kind": "observed", "observation": dead if case in self.deadly else SURVIVED}

    def start(self, name: str, specification: dict[str, object], **environment: str) -> Scripted:
        if specification["role"] != "case":
            return super().start(name, specification, **environment)
        self.children.append(Again(self, name, int(str(specification["case"]))))
        return self.children[-1]

    def processes(self) -> int:
        return sum(isinstance(child, Again) for child in self.children)


def test_on_cuda_a_process_whose_capture_survived_takes_the_next_case() -> None:
    stage = CudaStage(set())
    play(stage, ["capture"])
    assert sorted(stage.order) == list(range(len(CASES)))
    assert stage.processes() == 1


def test_on_cuda_no_case_follows_a_dead_capture_in_its_process() -> None:
    controls = {index for index, case in enumerate(CASES) if case.kind is Kind.CONTROL}
    stage = CudaStage(controls)
    play(stage, ["capture"])
    assert sorted(stage.order) == list(range(len(CASES)))
    assert stage.processes() == 1 + len(controls)


class GuardedStage(Stage):
    """As Stage, with the capture guard loaded over a runtime whose captures all die."""

    def __init__(self, guarded_observation: list[object]) -> None:
        library = {**LEAD[0], "guard": "/lib/libcapture_guard.so"}  # type: ignore[dict-item]
        lead = [library, *LEAD[1:], READY, DECODED, Ended(0)]
        super().__init__({"lead": lead, "reference": REFERENCE})
        self.guarded_observation = guarded_observation

    def start(self, name: str, specification: dict[str, object], **environment: str) -> Scripted:
        child = super().start(name, specification, **environment)
        if specification["role"] == "case":
            dead: list[object] = [900, 2, 901, False, -1, 11, ""]
            seen = self.guarded_observation if specification["guarded"] else dead
            child.says = [{"kind": "observed", "observation": seen}]
        return child


HELD: list[object] = [600, 1, 0, True, 11, 11, ""]


def test_with_a_guard_the_runtime_is_measured_past_it_and_then_through_it() -> None:
    stage = GuardedStage(HELD)
    findings = play(stage, ["run", "--batch", "1", "--steps", "2"])
    assert findings.capture is not None
    assert findings.guarded is not None
    assert (findings.capture.safe, findings.guarded.safe) == (False, True)
    must_survive = [case for case in CASES if case.kind is Kind.MUST_SURVIVE]
    assert len(findings.guarded.outcomes) == len(must_survive)
    assert stage.children[0].told == [{"watchdog": True}]


def test_a_guard_that_lets_a_case_die_does_not_get_a_watchdog_in_the_decode() -> None:
    stage = GuardedStage([900, 2, 901, False, -1, 11, ""])
    findings = play(stage, ["run", "--batch", "1", "--steps", "2"])
    assert findings.guarded is not None
    assert not findings.guarded.safe
    assert stage.children[0].told == [{"watchdog": False}]
