"""What chooses the all-reduce in a server's source: found in every form, and missed where gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_doctor.check import Check, Status
from image_doctor.variable import Finding, examine
from image_doctor.variable_check import check_variable
from image_servers import SERVERS
from made_up_image import MadeUpImage


def examine_sglang(place: Path) -> Finding:
    (finding,) = examine(place, SERVERS["sglang"])
    return finding


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
    problem = examine_sglang(write(source, text)).problem
    assert problem is not None
    assert "does not depend on it" in problem


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


def test_another_default_than_the_programs_know_is_a_warning(made: MadeUpImage) -> None:
    made.set_dispatch(WITH_HIP.replace('default="true"', 'default="false"'))
    check = check_variable(made.image)
    assert check.status is Status.WARN
    assert "another default is known here: true" in check.found


OPS = """
import vllm.envs as envs

class rocm_aiter_ops:
    _AITER_ENABLED = envs.VLLM_ROCM_USE_AITER
    _CUSTOM = envs.VLLM_ROCM_USE_AITER_CUSTOM_AR

    @classmethod
    def is_custom_all_reduce_enabled(cls):
        return cls._AITER_ENABLED and cls._CUSTOM
"""


def of_vllm(made: MadeUpImage, version: str, ops: str) -> Check:
    package = made.site / "vllm"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    (package / "_aiter_ops.py").write_text(ops)
    made.describe(server="vllm", versions={"vllm": version})
    return check_variable(made.image)


def test_of_vllm_both_variables_are_examined(made: MadeUpImage) -> None:
    check = of_vllm(made, "0.27.1", OPS)
    assert check.status is Status.PASS
    assert "VLLM_ROCM_USE_AITER_CUSTOM_AR is read at" in check.found
    assert "VLLM_ROCM_USE_AITER is read at" in check.found
    lost = of_vllm(made, "0.27.1", OPS.replace("cls._AITER_ENABLED and ", ""))
    assert lost.status is Status.FAIL
    assert lost.found.startswith("VLLM_ROCM_USE_AITER is read at")


def test_a_release_that_does_not_read_it_passes_and_says_so(made: MadeUpImage) -> None:
    before = OPS.replace("VLLM_ROCM_USE_AITER_CUSTOM_AR", "VLLM_ROCM_USE_AITER_MOE")
    check = of_vllm(made, "0.18.1", before)
    assert check.status is Status.PASS
    assert check.found.startswith("vLLM 0.18.1 has no choice of its all-reduce")
    assert of_vllm(made, "0.27.1", before).status is Status.FAIL
    unreadable = of_vllm(made, "0.18.1", f"{before}\ndef (")
    assert unreadable.status is Status.FAIL
    assert "is no Python" in unreadable.found
    # What it is known not to read must not be read, else the image lacks a setting.
    assert of_vllm(made, "0.18.1", OPS).status is Status.FAIL


def test_a_source_is_read_as_the_server_whose_package_it_holds(
    made: MadeUpImage, tmp_path: Path
) -> None:
    package = tmp_path / "vllm"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "ops.py").write_text(OPS)
    assert "sglang" not in check_variable(made.image, tmp_path).found
    assert "VLLM_ROCM_USE_AITER_CUSTOM_AR" in check_variable(made.image, tmp_path).found
    told = check_variable(made.image, tmp_path, SERVERS["sglang"])
    assert told.status is Status.FAIL
    assert "holds no package sglang" in told.found


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
