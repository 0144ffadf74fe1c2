"""A tree of SGLang's source, made up, and what the doctor finds in it."""

from __future__ import annotations

from pathlib import Path

from image_doctor.variable import Finding, examine
from image_servers import SERVERS


def examine_sglang(place: Path) -> Finding:
    (finding,) = examine(place, SERVERS["sglang"])
    return finding


def write(source: Path, text: str, name: str = "all_reduce.py") -> Path:
    path = source / "python" / "sglang" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return source


def problem_of(source: Path, text: str) -> str:
    """What is wrong where the choice of the all-reduce is this text."""
    problem = examine_sglang(write(source, text)).problem
    assert problem is not None
    return problem


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
