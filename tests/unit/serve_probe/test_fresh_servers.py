"""Several fresh servers: one that differs is a corrupted replay, and no other is blamed."""

from __future__ import annotations

from pathlib import Path

import pytest

from served import serve


def test_fresh_servers_that_all_agree_pass() -> None:
    done = serve("--tp", "1", "--fresh", "3")
    assert done.code == 0, done.found["sentence"]
    (result,) = done.found["sizes"]
    assert (len(result["fresh"]), result["differing"]) == (2, [])
    (check,) = (check for check in result["checks"] if check["name"] == "fresh")
    assert check["found"] == "3 of 3 servers with graphs gave the tokens of eager."


def test_one_fresh_server_of_three_that_differs_is_a_corrupted_replay(tmp_path: Path) -> None:
    done = serve("--tp", "1", "--fresh", "3", how=f"second-differs='{tmp_path}/counted'")
    assert (done.code, done.failed()) == (19, {"fresh"})
    assert done.found["exit_name"] == "replay_corrupted"
    assert "1 of 3 servers with graphs gave other tokens" in done.found["sentence"]
    assert "advisory replay-corrupted" in done.found["sentence"]
    assert done.found["sizes"][0]["differing"] == [2]


def test_where_every_fresh_server_differs_graphs_are_wrong_and_no_chance() -> None:
    done = serve("--tp", "1", "--fresh", "2", how="eager-differs")
    assert (done.code, done.failed()) == (11, {"graph-equals-eager", "fresh"})
    assert done.found["sizes"][0]["differing"] == [1, 2]


def test_every_fresh_server_is_checked_as_the_first_is() -> None:
    done = serve("--tp", "1", "--fresh", "2")
    checks = done.found["sizes"][0]["checks"]
    first = {check["name"] for check in checks if check["of"] == "graph"}
    assert {check["name"] for check in checks if check["of"] == "graph 2"} == first
    assert {"captured", "decoded-with-graphs", "repeat"} <= first


def test_where_eager_dies_no_graph_is_blamed(tmp_path: Path) -> None:
    how = f"eager-dies second-differs='{tmp_path}/counted'"
    done = serve("--tp", "1", "--fresh", "3", how=how)
    assert (done.code, done.found["exit_name"]) == (45, "server_failed")
    assert done.found["sizes"][0]["differing"] == []
    (check,) = (c for c in done.found["sizes"][0]["checks"] if c["name"] == "fresh")
    assert check["found"] == "The eager server gave no answers to compare with."


@pytest.mark.parametrize("other", [["--race"], ["--provoke", "all"]])
def test_fresh_servers_are_plain_ones(other: list[str]) -> None:
    done = serve("--fresh", "2", *other)
    assert done.code == 2
    assert "leave out --provoke and --race" in done.found["sentence"]
