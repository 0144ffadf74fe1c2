"""Whether a server's choice of its all-reduce depends on a variable, in every form it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from server_sources import WITH_HIP, examine_sglang, problem_of, write

NEGATED = """
def dispatch_custom_allreduce():
    if not get_bool_env_var("SGLANG_USE_AITER_AR", "true"):
        return CustomAllreduce
    return AiterCustomAllreduce
"""
EXPRESSION = """
def dispatch_custom_allreduce():
    return Aiter if get_bool_env_var("SGLANG_USE_AITER_AR", default="1") else Custom
"""
ASSIGNED = """
def dispatch_custom_allreduce():
    chosen = Custom
    if os.environ.get("SGLANG_USE_AITER_AR", "TRUE") == "TRUE":
        chosen = Aiter
    return chosen
"""
CONSTANT = """
_use_aiter = get_bool_env_var("SGLANG_USE_AITER_AR", default="true")

def dispatch_custom_allreduce():
    if _use_aiter:
        return Aiter
    return Custom
"""
CALLED = """
def use_aiter():
    return get_bool_env_var("SGLANG_USE_AITER_AR", default="true")

def dispatch_custom_allreduce():
    if use_aiter():
        return Aiter
    return Custom
"""


@pytest.mark.parametrize("text", [WITH_HIP, NEGATED, EXPRESSION, ASSIGNED, CONSTANT, CALLED])
def test_a_dispatch_that_depends_on_the_variable_is_recognised(source: Path, text: str) -> None:
    finding = examine_sglang(write(source, text))
    assert (finding.problem, finding.default) == (None, True)
    assert finding.reads[0].place.startswith("sglang/all_reduce.py:")


def test_a_reader_in_another_module_counts(source: Path) -> None:
    write(source, 'def use_aiter():\n    return get_bool_env_var("SGLANG_USE_AITER_AR", "true")\n',
          "wishes.py")  # fmt: skip
    text = "def dispatch_custom_allreduce():\n    if use_aiter():\n        return Aiter\n"
    assert examine_sglang(write(source, text + "    return Custom\n")).problem is None


IN_A_CLASS = """
class Ops:
    _ENABLED = get_bool_env_var("SGLANG_USE_AITER_AR", "true")

    @classmethod
    def dispatch_custom_allreduce(cls):
        return RETURNED
"""
ASSIGNED_BY_A_METHOD = """
class Ops:
    def __init__(self):
        self._enabled = envs.SGLANG_USE_AITER_AR

    def dispatch_custom_allreduce(self):
        if self._enabled:
            return Aiter
        return Custom
"""
A_METHOD_CALLED = """
class Ops:
    def enabled(self):
        return envs.SGLANG_USE_AITER_AR

    def dispatch_custom_allreduce(self):
        return Aiter if self.enabled() else Custom
"""
FROM_OUTSIDE = """
class Ops:
    _ENABLED = envs.SGLANG_USE_AITER_AR

def dispatch_custom_allreduce():
    return Ops._ENABLED and Aiter
"""
LAMBDA = """
variables = {
    "SGLANG_USE_AITER_AR": lambda: (
        os.getenv("SGLANG_USE_AITER_AR", "True").lower() in ("true", "1")
    ),
}
"""


@pytest.mark.parametrize(
    "text",
    [
        IN_A_CLASS.replace("RETURNED", "is_hip() and cls._ENABLED"),
        IN_A_CLASS.replace("RETURNED", "Ops._ENABLED"),
        ASSIGNED_BY_A_METHOD,
        A_METHOD_CALLED,
        FROM_OUTSIDE,
    ],
)
def test_an_attribute_of_a_class_carries_the_variable(source: Path, text: str) -> None:
    write(source, LAMBDA, "envs.py")
    finding = examine_sglang(write(source, text))
    assert (finding.problem, finding.default) == (None, True)


@pytest.mark.parametrize(
    "text",
    [
        IN_A_CLASS.replace("RETURNED", "cls._OTHER"),
        IN_A_CLASS.replace("RETURNED", "other._ENABLED"),
        ASSIGNED_BY_A_METHOD.replace("self._enabled =", "enabled ="),
        # Two classes, and the other one's attribute.
        FROM_OUTSIDE.replace("return Ops.", "return Other."),
    ],
)
def test_an_attribute_of_something_else_does_not(source: Path, text: str) -> None:
    assert "does not depend on it" in problem_of(source, text)


LOGGED = """
def dispatch_custom_allreduce():
    if get_bool_env_var("SGLANG_USE_AITER_AR", default="true"):
        logger.info("AITER was asked for")
    return CustomAllreduce
"""
SAME = """
def dispatch_custom_allreduce():
    if get_bool_env_var("SGLANG_USE_AITER_AR", default="true"):
        return CustomAllreduce
    return CustomAllreduce
"""
ELSEWHERE = """
def other():
    if get_bool_env_var("SGLANG_USE_AITER_AR", default="true"):
        return Aiter
    return Custom

def dispatch_custom_allreduce():
    return CustomAllreduce
"""
DECIDED_BY_ANOTHER = """
def dispatch_custom_allreduce():
    wanted = get_bool_env_var("SGLANG_USE_AITER_AR", default="true")
    if get_bool_env_var("SGLANG_ALL_REDUCE", default="false"):
        return Aiter
    logger.info(wanted)
    return Custom
"""


@pytest.mark.parametrize("text", [LOGGED, SAME, ELSEWHERE, DECIDED_BY_ANOTHER])
def test_a_dispatch_that_no_longer_depends_on_it_is_said(source: Path, text: str) -> None:
    assert "does not depend on it" in problem_of(source, text)


def test_a_dispatch_that_is_gone_is_said(source: Path) -> None:
    assert "there is no dispatch_custom_allreduce any more" in problem_of(
        source, WITH_HIP.replace("dispatch_custom", "choose_custom")
    )
