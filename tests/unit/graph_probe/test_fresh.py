"""Several fresh processes: what was seen before one of them failed is not lost."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from graph_probe import command_line
from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.findings import Findings
from graph_probe.options import Options

WRONG = "Batch 1, row 0: replay gave another token."


def decoded(problem: str | None) -> Any:
    return SimpleNamespace(
        devices=1, steps=64, watchdog=False, watchdog_queries=0, batches=(), problem=problem
    )


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *ends: object
) -> tuple[int, Any]:
    """`decode --fresh N`, whose processes end so: with a problem or none, or with an error."""
    left = list(ends)

    def one(options: Options, findings: Findings) -> None:
        end = left.pop(0)
        findings.notes.append("a note")
        if isinstance(end, ProbeError):
            raise end
        findings.decode = decoded(end)  # type: ignore[arg-type]

    monkeypatch.setattr(command_line, "_run", one)
    code = command_line.main(["decode", "--fresh", str(len(ends)), "--json"])
    return code, json.loads(capsys.readouterr().out)


HUNG = ProbeError(ExitCode.HUNG_AND_KILLED, "No end within 3 s.")


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ((None, None, None), 0),
        ((None, WRONG, None), 19),
        ((None, WRONG, HUNG), 19),
        ((WRONG, WRONG, None), 19),
        ((WRONG, WRONG), 11),
        ((None, HUNG, WRONG), 30),
        ((HUNG, None), 30),
    ],
)
def test_wrong_tokens_that_were_seen_come_before_a_later_process_that_failed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ends: tuple[object, ...],
    code: int,
) -> None:
    found, document = run(monkeypatch, capsys, *ends)
    assert found == code
    seen = [end or "as eager" for end in ends[: ends.index(HUNG) if HUNG in ends else None]]
    assert document["fresh"] == seen
    # What the first process found is told, whatever became of it.
    assert document["notes"][0] == "a note"
    assert ("Process 3: No end within 3 s." in document["notes"]) is (ends[-1] is HUNG)


def test_time_that_ran_out_between_two_processes_is_said_with_its_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 1.0, 500.0, 500.0])
    monkeypatch.setattr(command_line.time, "monotonic", lambda: next(now))
    code, document = run(monkeypatch, capsys, None, None)
    assert code == 30
    assert document["sentence"].startswith("1 of 2 processes ended within 120 s: give them more")


def test_what_ended_a_later_process_is_told_in_words_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = iter((None, WRONG, HUNG))

    def one(options: Options, findings: Findings) -> None:
        end = next(ends)
        if isinstance(end, ProbeError):
            raise end
        findings.decode = decoded(end)

    monkeypatch.setattr(command_line, "_run", one)
    assert command_line.main(["decode", "--fresh", "3"]) == 19
    assert "note     Process 3: No end within 3 s." in capsys.readouterr().out
