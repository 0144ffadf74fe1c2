"""The replays as text for people and as the JSON object's key `replay`."""

from __future__ import annotations

from graph_probe.replay_cases import (
    CASES,
    OTHER_STREAMS,
    CaseResult,
    Cure,
    ReplaySeen,
    ReplayVerdict,
)

RIGHT, WRONG = "replays-right", "replays-wrong"


def text(verdict: ReplayVerdict) -> str:
    """A block of lines: the verdict, each case that was wrong, what cures it, and the setting."""
    replays = sum(result.replays for result in verdict.results)
    if verdict.right:
        lines = [
            f"replay   right: {len(CASES)} cases, {replays} replays in {len(OTHER_STREAMS)} "
            "processes gave what their kernels compute"
        ]
    else:
        lines = [f"replay   WRONG: {len(verdict.wrong)} of {len(CASES)} cases"]
        lines += [f"         {_case_text(result)}" for result in verdict.wrong]
        lines += [_cure_text(verdict, cure) for cure in verdict.cures]
    if verdict.switches:
        settings = ", ".join(f"{name}={value}" for name, value in verdict.switches.items())
        lines.append(f"set      {settings} in this environment: the replays were made under it")
    if verdict.seeds:
        lines.append(
            f"emulated packets overlapped, by the seeds {' '.join(verdict.seeds)}; "
            "this says nothing about a GPU's memory ordering"
        )
    return "\n".join(lines)


def _case_text(result: CaseResult) -> str:
    told = f"{result.case.name} ({result.case.description}): "
    if result.wrong:
        told += f"{result.wrong} of {result.replays} replays wrong, "
    told += f"{'' if result.wrong else 'not ended '}in "
    told += f"{len(result.wrong_in)} of {len(result.seen)} processes"
    return told + "; " + _first_text(result.wrong_in[0])


def _first_text(seen: ReplaySeen) -> str:
    where = f"with {seen.other_streams} other streams"
    if seen.first is None:
        return f"{where}: {seen.problem}"
    wrong = seen.first
    return f"first in replay {wrong.replay} {where}: {wrong.value:#010x} for {wrong.expected:#010x}"


def _cure_text(verdict: ReplayVerdict, cure: Cure) -> str:
    left = [result.case.name for result in verdict.wrong if result.case.name not in cure.right]
    if not left:
        return f"cure     {cure.switch.text}: all that was wrong was right, in as many processes"
    cured = f"cures {', '.join(cure.right)}, not " if cure.right else "does not cure "
    return f"no cure  {cure.switch.text}: {cured}{', '.join(left)}"


def as_json(verdict: ReplayVerdict) -> dict[str, object]:
    """The key `replay`."""
    return {
        "verdict": RIGHT if verdict.right else WRONG,
        "cases": [
            {
                **_result_json(result),
                "description": result.case.description,
                "right": result.right,
                "first_wrong": _first_json(result),
                "problems": [seen.problem for seen in result.seen if seen.problem],
                "cured_by": verdict.cured_by(result.case),
            }
            for result in verdict.results
        ],
        "cures_tried": [
            {
                "variable": cure.switch.variable,
                "value": cure.switch.value,
                "cases": [
                    {**_result_json(result), "right": result.right} for result in cure.results
                ],
            }
            for cure in verdict.cures
        ],
        "switches_set": verdict.switches,
        "other_streams": list(OTHER_STREAMS),
        "seeds": verdict.seeds,
    }


def _result_json(result: CaseResult) -> dict[str, object]:
    return {
        "name": result.case.name,
        "replays": result.replays,
        "wrong": result.wrong,
        "processes": len(result.seen),
        "wrong_processes": len(result.wrong_in),
    }


def _first_json(result: CaseResult) -> dict[str, int] | None:
    for seen in result.seen:
        if seen.first:
            return {"other_streams": seen.other_streams, **seen.first._asdict()}
    return None
