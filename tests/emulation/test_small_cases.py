"""The smallest cases of what the replay fuzzer found, on AMD's runtimes.

docs/emulation-findings.md describes each. Where AMD mends a fault, the row that expects it fails,
and the findings are to be written anew.
"""

import pytest
from fuzz_programs import FuzzPrograms

RIGHT, WRONG, CRASHED = 0, 3, 4
SEGMENTS = "DEBUG_HIP_GRAPH_SEGMENT_SCHEDULING"
PACKETS = "DEBUG_CLR_GRAPH_PACKET_CAPTURE"


@pytest.fixture(scope="module")
def programs(laboratory):
    return FuzzPrograms(laboratory)


@pytest.mark.parametrize(
    ("version", "case", "others", "variables", "status"),
    [
        ("7.2.4", "roots", 4, {}, WRONG),
        ("7.2.4", "roots", 4, {SEGMENTS: "0"}, RIGHT),
        ("7.2.4", "one_root", 4, {}, RIGHT),
        ("6.4.3", "roots", 4, {}, RIGHT),
        ("6.4.3", "memset", 0, {}, WRONG),
        ("6.4.3", "memset", 0, {PACKETS: "0"}, RIGHT),
        ("7.2.4", "memset", 0, {}, RIGHT),
        # The fault reads behind the end of a list: by this variable it reads no valid address.
        ("7.2.4", "waits1", 0, {SEGMENTS: "0", "MALLOC_PERTURB_": "255"}, CRASHED),
        ("7.2.4", "waits1", 0, {}, RIGHT),
        ("7.2.4", "waits4", 0, {"MALLOC_PERTURB_": "255"}, CRASHED),
        ("7.2.4", "waits4", 0, {SEGMENTS: "2", "MALLOC_PERTURB_": "255"}, RIGHT),
        ("6.4.3", "waits4", 0, {"MALLOC_PERTURB_": "255"}, RIGHT),
        ("7.2.4", "circle2", 0, {}, RIGHT),
        ("6.4.3", "circle2", 0, {}, CRASHED),
        ("7.2.4", "circle3", 0, {}, CRASHED),
        ("6.4.3", "circle3", 0, {}, CRASHED),
    ],
)
def test_a_graph_replays_as_the_findings_say(programs, version, case, others, variables, status):
    done = programs.case(version, case, "--others", str(others), **variables)
    assert done.returncode == status, done.stdout


# A program registers its fat binary before it calls HIP; a plugin that is loaded later, after.
@pytest.mark.parametrize(
    ("version", "case", "words", "status", "says"),
    [
        ("7.2.4", "fat_own", [], RIGHT, "0 of 1 wrong"),
        ("6.4.3", "fat_own", [], RIGHT, "0 of 1 wrong"),
        ("7.2.4", "fat_foreign", [], CRASHED, "SIGSEGV"),
        ("7.2.4", "fat_foreign", ["--others", "1"], CRASHED, "SIGSEGV"),
        ("6.4.3", "fat_foreign", [], RIGHT, "0 of 1 wrong"),
        ("6.4.3", "fat_foreign", ["--others", "1"], CRASHED, "SIGABRT"),
    ],
)
def test_a_launch_of_a_fat_binary_ends_as_the_findings_say(
    programs, version, case, words, status, says
):
    done = programs.case(version, case, *words)
    assert done.returncode == status, done.stdout
    assert says in done.stdout
