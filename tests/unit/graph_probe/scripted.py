"""Children that say what a script has for them, for tests of what starts and hears them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from graph_probe.channel import Message
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
DEAD = [900, 2, 901, False, -1, 11, ""]
RUNTIME = ["hip", "/lib/libamdhip64.so", 70253211, "text", True]
LEAD: list[Message | Ended] = [
    {"kind": "library", "libraries": ["hip", "a", "b", "a"], "guard": None, "lacks": []},
    {"kind": "runtime", "runtime": RUNTIME, "devices": [[0, "n", "gfx942", "gfx942"]]},
    {"kind": "code", "path": "/code", "load": 0.1, "compile": 0.2},
]
TOKENS = [[[5, 6]]]
PASSES = [TOKENS, TOKENS, 1.0, 0.5]
DECODED: Message = {"kind": "decoded", "run": [[[1, PASSES, PASSES]], True, 44, 0.1]}
READY: Message = {"kind": "ready", "seconds": 0.1}
REFERENCE: list[Message | Ended] = [{"kind": "reference", "rows": [[10, [5, 6]]]}, Ended(0)]


class CaseProcess(Scripted):
    """A child of a capture case: it takes every further case that it is told."""

    def __init__(self, stage: Stage, name: str, specification: dict[str, object]) -> None:
        self.stage, self.guarded = stage, bool(specification["guarded"])
        self.took: list[int] = []
        super().__init__(name, [])
        self.take(int(str(specification["case"])))

    def take(self, case: int) -> None:
        self.took.append(case)
        self.says.append(self.stage.seen_of(case, self.guarded, first=len(self.took) == 1))

    def tell(self, **content: object) -> None:
        super().tell(**content)
        if isinstance(content.get("case"), int):
            self.take(int(str(content["case"])))


class ReplayProcess(Scripted):
    """A child that replays: the stage's `replayed` gives how many of 8 were wrong, or its end."""

    def __init__(
        self, name: str, specification: dict[str, object], environment: dict[str, str], stage: Stage
    ) -> None:
        super().__init__(name, [])
        self.environment = environment
        streams = int(str(specification["other_streams"]))
        for case in specification["cases"]:  # type: ignore[attr-defined]
            wrong = stage.replayed(case, environment)
            self.says.append({"kind": "replaying", "case": case})
            if isinstance(wrong, Ended):
                self.says.append(wrong)
                return
            first = [2, 5, 6] if wrong else None
            seen = [case, streams, 8, wrong, first, ""]
            self.says.append({"kind": "replayed", "seen": seen})


class Stage:
    """In the supervisor's place: starts children from a script, in turn.

    `dying` kills the process of a case: where it is the process's first, or where it is not.
    """

    def __init__(
        self,
        scripts: dict[str, list[Message | Ended]],
        dying: int | None = None,
        dying_only_later: bool = False,
        deadly: set[int] | None = None,
    ) -> None:
        self.scripts, self.dying, self.dying_only_later = scripts, dying, dying_only_later
        self.deadly = deadly or set()
        self.through_the_guard: list[object] | None = None
        self.replayed: Callable[[int, Mapping[str, str]], int | Ended] = lambda *_: 0
        self.children: list[Scripted] = []
        self.environments: list[dict[str, str]] = []

    def seen_of(self, case: int, guarded: bool, first: bool) -> Message | Ended:
        if case == self.dying and not (first and self.dying_only_later):
            return Ended(-11)
        seen = DEAD if case in self.deadly else SURVIVED
        if guarded and self.through_the_guard:
            seen = self.through_the_guard
        return {"kind": "observed", "observation": seen}

    def start(self, name: str, specification: dict[str, object], **environment: str) -> Scripted:
        child = Scripted(name, list(self.scripts.get(str(specification["role"]), [])))
        if specification["role"] == "case":
            child = CaseProcess(self, name, specification)
        elif specification["role"] == "replay":
            child = ReplayProcess(name, specification, environment, self)
        if specification["role"] in ("case", "replay"):
            self.environments.append(environment)
        self.children.append(child)
        return child

    @property
    def case_processes(self) -> list[CaseProcess]:
        return [child for child in self.children if isinstance(child, CaseProcess)]

    @property
    def replay_processes(self) -> list[ReplayProcess]:
        return [child for child in self.children if isinstance(child, ReplayProcess)]

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
