"""The capture guard before AMD's own HIP runtimes, on emulated GPUs: it holds on one with the bugs.

6.4.3 has the published capture bugs, 7.2.4 has none of them. What 7.2.0 is published to do, and
the thread sanitizer, need the imitation: tests/stand_in/test_capture_guard.py.
"""

from __future__ import annotations

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rocm_images.smoke import emulator

PROGRAMS = Path(__file__).resolve().parents[1] / "stand_in" / "capture_guard"
SCENARIOS = re.findall(r"SCENARIO\((\w+)\)[,;]", (PROGRAMS / "scenarios.c").read_text())
# What hipRuntimeGetVersion says, as measured on the pinned packages.
VERSIONS = {"6.4.3": 60443484, "7.2.4": 70253211}
UNSAFE = "6.4.3"
BUILD = "/tmp/capture_guard"
GUARD = f"{BUILD}/libcapture_guard.so"
ROCM_IMAGES = "/project/images/rootfs/opt/rocm-images"
# Exit codes of graph-probe (docs/probe.md).
PASS, UNSAFE_NOT_MITIGATED, UNSAFE_CAPTURES = 0, 10, 15
WATCHDOG_CASES = 16
COMPILE = f"""\
set -eu
programs=/project/tests/stand_in/capture_guard
compiled() {{
    cc -std=gnu11 -D_GNU_SOURCE -O1 -g -pthread -Wall -Wextra -Werror "$@" \\
        "/opt/amd/$release/libamdhip64.so" -Wl,--allow-shlib-undefined -ldl
}}
mkdir -p {BUILD}
{ROCM_IMAGES}/capture_guard/build {GUARD} & jobs=$!
for release in {" ".join(VERSIONS)}; do
    mkdir -p {BUILD}/$release
    cd {BUILD}/$release
    compiled $programs/scenarios.c -o scenarios & jobs="$jobs $!"
    compiled $programs/hammer.c -o hammer & jobs="$jobs $!"
    compiled -shared -fPIC $programs/torch_like.c -o libtorch_like.so & jobs="$jobs $!"
done
for job in $jobs; do wait $job; done
"""
# As Python loads torch: outside of the global scope.
LOAD_AND_PLAY = "import ctypes, sys; sys.exit(ctypes.CDLL(sys.argv[1]).play())"

Done = subprocess.CompletedProcess[str]


class Programs:
    """Programs that know nothing of the guard, linked to AMD's libraries as torch is."""

    def __init__(self, laboratory: Any) -> None:
        self._laboratory = laboratory
        done = laboratory.run("bash", "-c", COMPILE)
        assert done.returncode == 0, done.stderr

    def run(self, release: str, *words: str, guarded: bool = False, **variables: str) -> Done:
        """Runs a command on AMD's runtime of that release; `guarded`: with the guard preloaded."""
        environment = {**self._laboratory.runtime(release).environment, **variables}
        if guarded:
            environment["LD_PRELOAD"] = GUARD
        done: Done = self._laboratory.run(*words, env=environment)
        return done

    def play(self, release: str, program: str, *words: str, guarded: bool = False) -> Done:
        """Runs a program that says which runtime answers it: that must be AMD's."""
        # The longest time that a wait is held; short where a scenario waits for it to be over.
        seconds = "1" if "joined" in " ".join(words) else "30"
        words = (f"{BUILD}/{release}/{program}", *words)
        if program.endswith(".so"):
            words = ("python3", "-c", LOAD_AND_PLAY, *words)
        done = self.run(release, *words, guarded=guarded, CAPTURE_GUARD_WAIT_SECONDS=seconds)
        said = done.stderr.partition("\n")[0]
        assert is_amds(said, release, self._laboratory.runtime(release).pinned), done.stderr
        return done

    def probe(self, command: str, *, guarded: bool) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON of the graph probe on the unsafe runtime, with AITER all-reduce."""
        words = ["python3", "-m", "graph_probe", *command.split(), "--json"]
        # By this switch its replays are right, which `run` judges too.
        variables = {"SGLANG_USE_AITER_AR": "1", "DEBUG_CLR_GRAPH_PACKET_CAPTURE": "0"}
        done = self.run(UNSAFE, *words, guarded=guarded, PYTHONPATH=ROCM_IMAGES, **variables)
        found: dict[str, Any] = json.loads(done.stdout)
        runtime, pinned = found["runtime"], self._laboratory.runtime(UNSAFE).pinned
        emulated = (runtime["emulator"] or {}).get("path", "-")
        said = f"runtime {runtime['version']} {runtime['path']} {emulated}"
        assert is_amds(said, UNSAFE, pinned), said
        assert runtime["is_stand_in"] is False
        return done.returncode, found


def is_amds(said: str, release: str, pinned: bool) -> bool:
    """Whether `runtime VERSION LIBRARY EMULATOR` is AMD's runtime of that release, emulated.

    A package newer than the pinned one may have another version.
    """
    version = str(VERSIONS[release]) if pinned else r"\d+"
    library = rf"/opt/amd/{release}/libamdhip64\.so\.[\d.]+"
    return re.fullmatch(f"runtime {version} {library} {emulator.LIBRARY}", said) is not None


@pytest.fixture(scope="module")
def programs(laboratory: Any) -> Programs:
    return Programs(laboratory)


@pytest.fixture(scope="module")
def probes(programs: Programs) -> dict[tuple[str, bool], tuple[int, dict[str, Any]]]:
    """The probe's answers by command and whether the guard was preloaded."""
    # The first alone: it leaves the compiled kernels in a cache for the others.
    found = {("capture", False): programs.probe("capture", guarded=False)}
    wanted = [("run", False), ("run", True), ("capture", True)]
    words = {"run": "run --batch 1 --steps 8", "capture": "capture"}
    with ThreadPoolExecutor(len(wanted)) as pool:
        answers = pool.map(lambda one: programs.probe(words[one[0]], guarded=one[1]), wanted)
        return {**found, **dict(zip(wanted, answers, strict=True))}


@pytest.fixture(scope="module")
def scenarios(programs: Programs) -> dict[tuple[str, str], Done]:
    """What became of each scenario on each runtime, with the guard."""
    wanted = [(release, scenario) for release in VERSIONS for scenario in SCENARIOS]
    with ThreadPoolExecutor(4) as pool:
        done = pool.map(
            lambda one: programs.play(one[0], "scenarios", one[1], guarded=True), wanted
        )
        return dict(zip(wanted, done, strict=True))


def test_a_runtime_that_is_not_amds_or_not_emulated_is_noticed() -> None:
    library = "/opt/amd/6.4.3/libamdhip64.so.6"
    assert is_amds(f"runtime 60443484 {library} {emulator.LIBRARY}", "6.4.3", True)
    assert not is_amds(f"runtime 60443484 {library} -", "6.4.3", True)  # the imitation has no HSA
    assert not is_amds(f"runtime 70226015 {library} {emulator.LIBRARY}", "6.4.3", True)
    assert not is_amds(
        f"runtime 60443484 /opt/rocm/lib/libamdhip64.so.6 {emulator.LIBRARY}", "6.4.3", True
    )


def test_with_the_guard_every_watchdog_case_of_the_probe_survives(probes: Any) -> None:
    code, found = probes["capture", True]
    assert (code, found["capture"]["verdict"]) == (PASS, "unsafe"), found["sentence"]
    assert (found["guard"]["path"], found["guard"]["verdict"]) == (GUARD, "holds")
    survived = [case["survived"] for case in found["guard"]["cases"]]
    assert survived == [True] * WATCHDOG_CASES


def test_without_the_guard_the_probe_finds_both_bugs(probes: Any) -> None:
    code, found = probes["capture", False]
    assert (code, found["guard"]["loaded"]) == (UNSAFE_CAPTURES, False)
    assert found["sentence"].endswith("known bugs they show: A and B.")


def test_the_whole_probe_passes_with_the_guard_and_fails_without(probes: Any) -> None:
    code, found = probes["run", True]
    assert (code, found["judgement"]["verdict"]) == (PASS, "guarded"), found["sentence"]
    assert found["decode"]["watchdog"] is True
    code, found = probes["run", False]
    assert (code, found["judgement"]["verdict"]) == (UNSAFE_NOT_MITIGATED, "unsafe")


@pytest.mark.parametrize("release", VERSIONS)
def test_the_programs_ask_for_the_symbol_versions_of_amds_library(
    programs: Programs, release: str
) -> None:
    asked = ""
    for program in ("scenarios", "hammer", "libtorch_like.so"):
        path = f"{BUILD}/{release}/{program}"
        asked += programs.run(release, "readelf", "--wide", "--dyn-syms", path).stdout
    versions = dict(re.findall(r"\bUND (hip\w+)@(hip_[\d.]+)", asked))
    assert {"hip_4.2", "hip_4.3", "hip_5.2", "hip_5.3"} <= set(versions.values())
    assert versions["hipEventQuery"] == versions["hipStreamSynchronize"] == "hip_4.2"
    assert versions["hipStreamBeginCapture"] == versions["hipStreamEndCapture"] == "hip_4.3"
    assert versions["hipStreamQuery_spt"] == versions["hipStreamSynchronize_spt"] == "hip_5.2"
    assert versions["hipStreamBeginCapture_spt"] == versions["hipStreamEndCapture_spt"] == "hip_5.3"


# Each query's status, of events and streams that the capture has to do with or not, and
# EndCapture's: 900 and 907 are the two bugs. 6.4.3 checks no event query of another stream.
@pytest.mark.parametrize(
    ("release", "guarded", "statuses"),
    [
        ("6.4.3", False, "0 907 900 900 901\n"),
        ("6.4.3", True, "600 600 600 600 0\n"),
        ("7.2.4", False, "0 0 0 900 901\n"),
        ("7.2.4", True, "600 600 600 600 0\n"),
    ],
)
def test_another_threads_queries_end_as_the_runtime_or_the_guard_says(
    programs: Programs, release: str, guarded: bool, statuses: str
) -> None:
    assert programs.play(release, "scenarios", "queries", guarded=guarded).stdout == statuses


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("release", VERSIONS)
def test_the_gate_is_open_again_whatever_became_of_the_capture(
    scenarios: Any, release: str, scenario: str
) -> None:
    done = scenarios[release, scenario]
    assert done.returncode == 0, done.stderr


# Three queries, three waits (which the guard holds until after the end) and EndCapture; then
# a query beside two captures of default streams, and how they end.
@pytest.mark.parametrize(
    ("release", "guarded", "statuses"),
    [
        ("6.4.3", False, "907 900 900 900 900 900 901 900 901 901\n"),
        ("6.4.3", True, "600 600 600 0 0 0 0 600 0 0\n"),
        ("7.2.4", True, "600 600 600 0 0 0 0 600 0 0\n"),
    ],
)
def test_a_library_that_python_loads_like_torchs_is_guarded(
    programs: Programs, release: str, guarded: bool, statuses: str
) -> None:
    done = programs.play(release, "libtorch_like.so", guarded=guarded)
    assert (done.returncode, done.stdout) == (0, statuses), done.stderr


def test_ten_thousand_captures_live_under_eight_threads_that_query_without_pause(
    programs: Programs,
) -> None:
    done = programs.play(UNSAFE, "hammer", "10000", "8", guarded=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("10000 of 10000 captures lived")


def test_without_the_guard_the_same_threads_see_an_error(programs: Programs) -> None:
    done = programs.play(UNSAFE, "hammer", "10000", "8")
    assert done.returncode == 1, done.stderr
    assert "not so: " in done.stderr
