"""SGLANG_USE_AITER_AR in SGLang's source: found in every form, and missed where it is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_doctor.check import Status
from image_doctor.variable import Finding, examine
from image_doctor.variable_check import check_variable
from image_servers import SERVERS
from made_up_image import MadeUpImage


def examine_sglang(place: Path) -> Finding:
    return examine(place, SERVERS["sglang"])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    package = tmp_path / "python" / "sglang"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    return tmp_path


def write(source: Path, text: str, name: str = "all_reduce.py") -> Path:
    path = source / "python" / "sglang" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return source


WITH_HIP = """
def dispatch_custom_allreduce():
    if is_hip() and get_bool_env_var("SGLANG_USE_AITER_AR", default="true"):
        try:
            from aiter import CustomAllreduce as AiterCustomAllreduce
            return AiterCustomAllreduce
        except ImportError:
            return CustomAllreduce
    return CustomAllreduce
"""
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


def test_a_variable_that_is_declared_in_environ_py_is_found_with_its_default(source: Path) -> None:
    write(source, "class Envs:\n    SGLANG_USE_AITER_AR = EnvBool(False)\n", "environ.py")
    text = "def dispatch_custom_allreduce():\n    if envs.SGLANG_USE_AITER_AR.get():\n"
    finding = examine_sglang(write(source, text + "        return Aiter\n    return Custom\n"))
    assert (finding.problem, finding.default) == (None, False)


def test_a_reader_in_another_module_counts(source: Path) -> None:
    write(source, 'def use_aiter():\n    return get_bool_env_var("SGLANG_USE_AITER_AR", "true")\n',
          "wishes.py")  # fmt: skip
    text = "def dispatch_custom_allreduce():\n    if use_aiter():\n        return Aiter\n"
    assert examine_sglang(write(source, text + "    return Custom\n")).problem is None


def test_a_default_that_is_not_given_is_false_as_sglang_reads_it(source: Path) -> None:
    text = WITH_HIP.replace(', default="true"', "")
    assert examine_sglang(write(source, text)).default is False


def test_a_renamed_variable_is_said(source: Path) -> None:
    text = WITH_HIP.replace("SGLANG_USE_AITER_AR", "SGLANG_ROCM_USE_AITER_AR")
    problem = examine_sglang(write(source, text)).problem
    assert problem is not None
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
    problem = examine_sglang(write(source, text)).problem
    assert problem is not None
    assert "nothing reads" in problem


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
    problem = examine_sglang(write(source, text)).problem
    assert problem is not None
    assert "does not depend on it" in problem


def test_a_dispatch_that_is_gone_is_said(source: Path) -> None:
    problem = examine_sglang(
        write(source, WITH_HIP.replace("dispatch_custom", "choose_custom"))
    ).problem
    assert problem is not None
    assert "there is no dispatch_custom_allreduce any more" in problem


def test_sglangs_own_tests_do_not_count(source: Path) -> None:
    write(source, WITH_HIP, "test/all_reduce.py")
    assert examine_sglang(source).problem == "nothing reads SGLANG_USE_AITER_AR"


def test_source_that_cannot_be_parsed_is_said(source: Path) -> None:
    problem = examine_sglang(write(source, "def dispatch_custom_allreduce(:\n")).problem
    assert problem is not None
    assert problem.startswith("sglang/all_reduce.py is no Python")


def test_the_installed_sglang_is_examined_where_no_source_is_given(made: MadeUpImage) -> None:
    assert check_variable(made.image).status is Status.PASS
    made.set_dispatch("def dispatch_custom_allreduce():\n    return CustomAllreduce\n")
    check = check_variable(made.image)
    assert check.status is Status.FAIL
    assert "nothing reads SGLANG_USE_AITER_AR" in check.found
    assert "0.5.5.post3" in check.advice


@pytest.mark.parametrize("name", ["empty", "no-wheel.whl"])
def test_a_source_without_sglang_fails_with_its_name(
    made: MadeUpImage, tmp_path: Path, name: str
) -> None:
    place = tmp_path / name
    if place.suffix:
        place.write_text("no zip file")
    else:
        place.mkdir()
    check = check_variable(made.image, place)
    assert check.status is Status.FAIL
    assert str(place) in check.found


def test_the_stand_in_for_sglang_is_read_as_the_real_one() -> None:
    finding = examine_sglang(Path(__file__).parents[3] / "rehearsal" / "sources" / "sglang")
    assert (finding.problem, finding.default) == (None, True)
