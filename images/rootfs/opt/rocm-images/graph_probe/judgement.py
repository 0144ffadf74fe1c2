"""Judges an image: its all-reduce setting against what was measured of the runtime."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

from graph_probe.exit_codes import MEANING, ExitCode

VARIABLE = "SGLANG_USE_AITER_AR"
_SGLANG_DEFAULT = "true"  # of every release that reads the variable, up to 0.5.23


class AllReduce(str, enum.Enum):
    """Which custom all-reduce SGLang dispatches to."""

    AITER = "aiter"
    SGLANG = "sglang"


class Setting(NamedTuple):
    """The all-reduce that SGLang would take, and a warning about how it was asked for."""

    all_reduce: AllReduce
    warning: str | None


class Judgement(NamedTuple):
    """`verdict` is pass, guarded, guard-failed, mitigated or unsafe; `sentence` says why, `warning`
    what else to know."""

    all_reduce: AllReduce
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


def read_setting(environment: Mapping[str, str]) -> Setting:
    """Reads the variable as SGLang's get_bool_env_var does: lower-cased, "true" or "1" is true,
    "false" or "0" false, anything else false with a warning."""
    value = environment.get(VARIABLE, _SGLANG_DEFAULT).lower()
    if value in ("true", "1"):
        return Setting(AllReduce.AITER, None)
    if value in ("false", "0"):
        return Setting(AllReduce.SGLANG, None)
    return Setting(
        AllReduce.SGLANG,
        f"{VARIABLE}={environment[VARIABLE]!r} is no boolean; SGLang takes it for false. "
        "Write 1 or 0.",
    )


def judge(
    safe: bool,
    setting: Setting,
    guard_holds: bool | None = None,
    free_from: str | None = None,
) -> Judgement:
    """AITER all-reduce over an unsafe runtime is an error, and so is a guard that does not hold.

    `guard_holds` is None where no capture guard is loaded. `free_from` is the ROCm release from
    which the runtime is safe, where the image names it.
    """
    cure = f"ROCm {free_from} or newer" if free_from else "a newer ROCm"
    aiter = setting.all_reduce is AllReduce.AITER
    if guard_holds is False:
        sentence = f"{MEANING[ExitCode.GUARD_FAILED]} Do not rely on it."
        return Judgement(setting.all_reduce, "guard-failed", sentence, setting.warning)
    if guard_holds and not safe:
        sentence = (
            "Unsafe runtime, guarded: a watchdog can kill this runtime's captures, and the capture "
            f"guard kept the calls of linked callers out. On {cure} no guard is needed."
        )
        alone = (
            f"AITER all-reduce is on, with only the guard before the bug: {VARIABLE}=0 is safer."
        )
        warning = _joined(setting.warning, alone if aiter else None)
        return Judgement(setting.all_reduce, "guarded", sentence, warning)
    if guard_holds:
        needless = "The capture guard is loaded over a runtime that is safe without it."
        return _judge_safe(setting, needless)
    if not safe and aiter:
        sentence = (
            "AITER all-reduce is on over a runtime whose captures a watchdog can kill. "
            f"Set {VARIABLE}=0, or use a base with {cure}."
        )
        return Judgement(setting.all_reduce, "unsafe", sentence, setting.warning)
    if not safe:
        sentence = (
            "AITER all-reduce is off over a runtime whose captures a watchdog can kill: the risk "
            f"is reduced, the image is not safe. A base with {cure} is."
        )
        return Judgement(setting.all_reduce, "mitigated", sentence, setting.warning)
    return _judge_safe(setting, None)


def _judge_safe(setting: Setting, also: str | None) -> Judgement:
    if setting.all_reduce is AllReduce.AITER:
        sentence = "AITER all-reduce is on over a runtime that is safe for it."
        return Judgement(setting.all_reduce, "pass", sentence, _joined(setting.warning, also))
    needless = (
        f"AITER all-reduce is off over a safe runtime, which costs speed: {VARIABLE}=1 is possible."
    )
    sentence = "The runtime is safe; SGLang's own all-reduce is used."
    return Judgement(setting.all_reduce, "pass", sentence, _joined(setting.warning, needless, also))


def _joined(*warnings: str | None) -> str | None:
    return " ".join(filter(None, warnings)) or None
