"""Where a server's source reads a variable, with which default, and that nothing reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from server_sources import WITH_HIP, examine_sglang, problem_of, write


def test_a_variable_that_is_declared_in_environ_py_is_found_with_its_default(source: Path) -> None:
    write(source, "class Envs:\n    SGLANG_USE_AITER_AR = EnvBool(False)\n", "environ.py")
    text = "def dispatch_custom_allreduce():\n    if envs.SGLANG_USE_AITER_AR.get():\n"
    finding = examine_sglang(write(source, text + "        return Aiter\n    return Custom\n"))
    assert (finding.problem, finding.default) == (None, False)


@pytest.mark.parametrize(
    ("reader", "default"),
    [
        ('def get_bool_env_var(name: str, default: str = "false") -> bool: ...', False),
        ("def get_bool_env_var(name, fallback=True): ...", True),
        ("def get_bool_env_var(name, *, default=1): ...", True),
        ("def get_bool_env_var(name): ...", None),
    ],
)
def test_a_default_that_is_not_given_is_the_readers_own(
    source: Path, reader: str, default: bool | None
) -> None:
    write(source, f"{reader}\n", "utils.py")
    text = WITH_HIP.replace(', default="true"', "")
    assert examine_sglang(write(source, text)).default is default


def test_a_renamed_variable_is_said(source: Path) -> None:
    text = WITH_HIP.replace("SGLANG_USE_AITER_AR", "SGLANG_ROCM_USE_AITER_AR")
    problem = problem_of(source, text)
    assert "nothing reads SGLANG_USE_AITER_AR" in problem
    assert "dispatch_custom_allreduce is at sglang/all_reduce.py:2" in problem


def test_a_variable_that_is_only_mentioned_is_not_read(source: Path) -> None:
    text = '''
# SGLANG_USE_AITER_AR used to be here.
os.environ["SGLANG_USE_AITER_AR"] = "1"
os.environ.setdefault("SGLANG_USE_AITER_AR", "1")
print("SGLANG_USE_AITER_AR")
def dispatch_custom_allreduce():
    """SGLANG_USE_AITER_AR"""
    return Custom
'''
    assert "nothing reads" in problem_of(source, text)


def test_sglangs_own_tests_do_not_count(source: Path) -> None:
    write(source, WITH_HIP, "test/all_reduce.py")
    assert examine_sglang(source).problem == "nothing reads SGLANG_USE_AITER_AR"


def test_source_that_cannot_be_parsed_is_said(source: Path) -> None:
    problem = problem_of(source, "def dispatch_custom_allreduce(:\n")
    assert problem.startswith("sglang/all_reduce.py is no Python")


def test_the_stand_in_for_sglang_is_read_as_the_real_one() -> None:
    finding = examine_sglang(Path(__file__).parents[3] / "rehearsal" / "sources" / "sglang")
    assert (finding.problem, finding.default) == (None, True)
