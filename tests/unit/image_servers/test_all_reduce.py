"""Which all-reduce a release of a server takes: its variables, their defaults, versions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from image_servers import SERVERS
from image_servers.all_reduce import is_at_least

VLLM = SERVERS["vllm"].all_reduce
AITER, CUSTOM = "VLLM_ROCM_USE_AITER", "VLLM_ROCM_USE_AITER_CUSTOM_AR"
RELEASE = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(lambda n: ".".join(map(str, n)))
BEFORE = st.sampled_from(["", "a1", "b2", "rc1"])
POST = st.sampled_from(["", ".post1", ".post12"])
DEV = st.sampled_from(["", ".dev0", ".dev120"])
LOCAL = st.sampled_from(["", "+rocm7.2.0.git89002410", "+gacf8fdf93"])
WANTED = st.builds("".join, st.tuples(RELEASE, POST))


@given(RELEASE, BEFORE, POST, DEV, LOCAL, WANTED)
def test_releases_are_ordered_as_pep_440_orders_them_and_what_comes_before_one_counts_as_it(
    release: str, before: str, post: str, dev: str, local: str, wanted: str
) -> None:
    counted = Version(release if before else release + post)
    version = f"{release}{before}{post}{dev}{local}"
    assert is_at_least(version, wanted) is (counted >= Version(wanted))


@pytest.mark.parametrize("text", ["", "main", "v0.25.0", "unknown", "." * 200])
def test_what_is_no_version_is_before_all(text: str) -> None:
    assert not is_at_least(text, "0.1")


def test_a_number_without_end_is_a_version_and_no_error() -> None:
    assert is_at_least("9" * 10_000, "0.25.0")


@pytest.mark.parametrize("version", ["0.18.1", "0.24.0", "0.24.1rc1"])
def test_a_release_that_does_not_read_the_variable_takes_its_own(version: str) -> None:
    assert VLLM.chosen({AITER: "1", CUSTOM: "1"}, version) == ("vllm", None)
    # Nor does it warn of a value that it does not read.
    assert VLLM.chosen({AITER: "1", CUSTOM: "yes"}, version) == ("vllm", None)


@pytest.mark.parametrize("version", ["0.25.0rc1", "0.25.0.dev100", "0.25.0", "0.27.1", None])
@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "vllm"),
        ({CUSTOM: "1"}, "vllm"),
        ({AITER: "1"}, "aiter"),
        ({AITER: "TRUE", CUSTOM: "true"}, "aiter"),
        ({AITER: "1", CUSTOM: "0"}, "vllm"),
    ],
)
def test_a_release_that_reads_it_takes_aiters_where_both_variables_are_true(
    version: str | None, environment: dict[str, str], name: str
) -> None:
    assert VLLM.chosen(environment, version) == (name, None)


def test_what_is_not_met_is_named() -> None:
    assert [one.name for one in VLLM.unmet({CUSTOM: "1"})] == [AITER]
    assert VLLM.unmet({AITER: "1"}) == ()
    assert SERVERS["sglang"].all_reduce.unmet({}) == ()


@pytest.mark.parametrize("name", SERVERS)
def test_what_chooses_the_all_reduce_of_a_server_is_a_variable_of_its_own(name: str) -> None:
    variable = SERVERS[name].all_reduce
    for one in (variable.name, *(switch.name for switch in variable.requires)):
        assert [s.name for s in SERVERS.values() if one.startswith(s.variables)] == [name]
