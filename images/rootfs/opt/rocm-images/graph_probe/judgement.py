"""Judges an image: its all-reduce setting against what was measured of the runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from graph_probe.exit_codes import MEANING, ExitCode
from image_facts.description import Facts
from image_servers import AllReduceVariable, server_of


class Judgement(NamedTuple):
    """`verdict` is pass, guarded, guard-failed, mitigated or unsafe; `sentence` says why, `warning`
    what else to know."""

    all_reduce: str
    verdict: str
    sentence: str
    warning: str | None

    @property
    def exit_code(self) -> ExitCode:
        failures = {
            "unsafe": ExitCode.UNSAFE_NOT_MITIGATED,
            "guard-failed": ExitCode.GUARD_FAILED,
        }
        return failures.get(self.verdict, ExitCode.PASS)


def judge_image(
    safe: bool, facts: Facts, environment: Mapping[str, str], guard_holds: bool | None
) -> Judgement:
    """As `judge`, of the server that an image's description names."""
    return judge(
        safe,
        server_of(facts.server).all_reduce,
        environment,
        guard_holds,
        facts.capture_bug.free_from if facts.capture_bug else None,
        facts.server_version,
    )


def judge(
    safe: bool,
    variable: AllReduceVariable,
    environment: Mapping[str, str],
    guard_holds: bool | None = None,
    free_from: str | None = None,
    version: str | None = None,
) -> Judgement:
    """The all-reduce of the bug over a runtime whose captures a watchdog can kill is an error, as
    is a guard that fails.

    Args:
        safe: whether captures beside a watchdog lived.
        variable: how the server chooses its all-reduce.
        environment: of the server.
        guard_holds: None where no capture guard is loaded.
        free_from: the ROCm release from which the runtime is safe, where the image names it.
        version: of the server; None: a new one.
    """
    cure = f"ROCm {free_from} or newer" if free_from else "a newer ROCm"
    name, odd = variable.chosen(environment, version)
    on, custom = name == variable.on, f"{variable.titles[variable.on]} all-reduce"
    reads, own = variable.is_read_by(version), variable.titles[variable.off]
    off = f"{custom} is off" if reads else f"{own} {version} has no choice of its all-reduce,"
    if guard_holds is False:
        sentence = f"{MEANING[ExitCode.GUARD_FAILED]} Do not rely on it."
        return Judgement(name, "guard-failed", sentence, odd)
    if guard_holds and not safe:
        sentence = (
            "Unsafe runtime, guarded: a watchdog can kill this runtime's captures, and the capture "
            f"guard kept the calls of linked callers out. On {cure} no guard is needed."
        )
        alone = f"{custom} is on, with only the guard before the bug: {variable.name}=0 is safer."
        return Judgement(name, "guarded", sentence, _joined(odd, alone if on else None))
    if not safe and on:
        sentence = (
            f"{custom} is on over a runtime whose captures a watchdog can kill. "
            f"Set {variable.name}=0, or use a base with {cure}."
        )
        return Judgement(name, "unsafe", sentence, odd)
    if not safe:
        sentence = (
            f"{off} over a runtime whose captures a watchdog can kill: the risk "
            f"is reduced, not gone. A base with {cure} is free of it."
        )
        return Judgement(name, "mitigated", sentence, odd)
    guard = (
        "The capture guard is loaded over a runtime whose captures survive a watchdog without it."
    )
    also = guard if guard_holds else None
    if on:
        sentence = f"{custom} is on over a runtime whose captures survive a watchdog."
        return Judgement(name, "pass", sentence, _joined(odd, also))
    needless = (
        f"{off} over a runtime whose captures survive a watchdog, which costs speed: "
        f"{variable.name}=1 is possible."
    )
    # What it requires besides is about more than the all-reduce, and not to be had for its sake.
    if not reads or variable.unmet(environment):
        needless = ""
    sentence = f"The runtime's captures survive a watchdog; {own}'s own all-reduce is used."
    return Judgement(name, "pass", sentence, _joined(odd, needless, also))


def _joined(*warnings: str | None) -> str | None:
    return " ".join(filter(None, warnings)) or None
