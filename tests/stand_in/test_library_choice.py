"""Which runtime library is taken; with real shared objects and the real dynamic loader."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = Path(__file__).resolve().parents[2] / "images" / "rootfs" / "opt" / "rocm-images"

LOAD = """
import json, os, sys
from graph_probe.exit_codes import ProbeError
from graph_probe.library import load_libraries, torch_folder
try:
    print(json.dumps(load_libraries("hip", torch_folder(), os.environ)))
except ProbeError as error:
    print(json.dumps([int(error.code), error.sentence]))
"""


@pytest.fixture
def packages() -> str:
    return str(PACKAGES)


def shared_object(path: Path, *options: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = f'const char* where(void) {{ return "{path}"; }}'
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(path), *options]
    subprocess.run(command, input=source, text=True, check=True, timeout=60)
    return path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site-packages folder with a torch that must not be imported."""
    package = tmp_path / "site" / "torch"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('torch was imported')")
    return tmp_path / "site"


def load(packages: str, *paths: Path, **environment: str) -> list[object]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GRAPH_PROBE_")}
    python_path = os.pathsep.join([packages, *map(str, paths)])
    ended = subprocess.run(
        [sys.executable, "-c", LOAD],
        env={**clean, "PYTHONPATH": python_path, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    result: list[object] = json.loads(ended.stdout)
    return result


def test_what_torchs_own_library_needs_is_taken_by_its_rpath(packages: str, site: Path) -> None:
    lib = site / "torch" / "lib"
    hip = shared_object(lib / "libamdhip64.so", "-Wl,-soname,libamdhip64.so")
    rtc = shared_object(lib / "libhiprtc.so")
    shared_object(
        lib / "libc10_hip.so", f"-L{lib}", "-Wl,--no-as-needed", "-lamdhip64", "-Wl,-rpath,$ORIGIN"
    )
    assert load(packages, site) == ["hip", str(hip), str(rtc), str(hip)]


def test_torchs_needs_win_over_a_copy_that_merely_lies_beside_it(
    packages: str, site: Path, tmp_path: Path
) -> None:
    rocm = tmp_path / "rocm" / "lib"
    wanted = shared_object(rocm / "libamdhip64.so.7", "-Wl,-soname,libamdhip64.so.7")
    shared_object(rocm / "libhiprtc.so")
    shared_object(site / "torch" / "lib" / "libamdhip64.so", "-Wl,-soname,libamdhip64.so")
    shared_object(
        site / "torch" / "lib" / "libc10_hip.so",
        f"-L{rocm}",
        "-Wl,--no-as-needed",
        "-l:libamdhip64.so.7",
        f"-Wl,-rpath,{rocm}",
    )
    assert load(packages, site)[1] == str(wanted)


def test_a_copy_in_torchs_lib_is_taken_where_libc10_hip_does_not_load(
    packages: str, site: Path
) -> None:
    hip = shared_object(site / "torch" / "lib" / "libamdhip64.so")
    shared_object(site / "torch" / "lib" / "libhiprtc.so")
    (site / "torch" / "lib" / "libc10_hip.so").write_text("not a shared object")
    assert load(packages, site)[1] == str(hip)


def test_the_environment_wins_over_torch(packages: str, site: Path, tmp_path: Path) -> None:
    shared_object(site / "torch" / "lib" / "libamdhip64.so")
    named = shared_object(tmp_path / "named" / "libamdhip64.so")
    compiler = shared_object(tmp_path / "named" / "libhiprtc.so")
    found = load(
        packages, site, GRAPH_PROBE_HIP_LIB=str(named), GRAPH_PROBE_HIPRTC_LIB=str(compiler)
    )
    assert found == ["hip", str(named), str(compiler), str(named)]


def test_a_link_to_a_file_of_another_name_is_found_in_the_maps(
    packages: str, tmp_path: Path
) -> None:
    real = shared_object(tmp_path / "libhipstandin.so")
    shared_object(tmp_path / "libhiprtc.so")
    link = tmp_path / "libamdhip64.so"
    link.symlink_to(real)
    assert load(packages, GRAPH_PROBE_HIP_LIB=str(link))[1] == str(real)


def test_two_different_copies_are_refused_by_both_their_paths(
    packages: str, tmp_path: Path
) -> None:
    first = shared_object(tmp_path / "a" / "libamdhip64.so", "-Wl,-soname,libamdhip64.so.7")
    second = shared_object(tmp_path / "b" / "libamdhip64.so.6", "-Wl,-soname,libamdhip64.so.6")
    code, sentence = load(packages, GRAPH_PROBE_HIP_LIB=str(first), LD_PRELOAD=str(second))
    assert code == 22
    assert isinstance(sentence, str)
    assert str(first) in sentence
    assert str(second) in sentence


def test_two_names_of_one_file_are_one_copy(packages: str, tmp_path: Path) -> None:
    first = shared_object(tmp_path / "libamdhip64.so.7")
    shared_object(tmp_path / "libhiprtc.so")
    link = tmp_path / "libamdhip64.so"
    link.symlink_to(first.name)
    assert load(packages, GRAPH_PROBE_HIP_LIB=str(link), LD_PRELOAD=str(first))[1] == str(first)


def test_a_named_file_that_does_not_load_is_an_error_and_not_passed_over(packages: str) -> None:
    code, sentence = load(packages, GRAPH_PROBE_HIP_LIB="/proc/absent/libamdhip64.so")
    assert code == 20
    assert isinstance(sentence, str)
    assert "/proc/absent/libamdhip64.so" in sentence


def test_a_runtime_without_its_compiler_is_refused(packages: str, tmp_path: Path) -> None:
    hip = shared_object(tmp_path / "libamdhip64.so")
    absent = str(tmp_path / "libhiprtc.so")
    code, sentence = load(packages, GRAPH_PROBE_HIP_LIB=str(hip), GRAPH_PROBE_HIPRTC_LIB=absent)
    assert code == 20
    assert isinstance(sentence, str)
    assert "libhiprtc" in sentence
