"""`graph-probe serve` against the stand-in for vLLM's server: what differs from SGLang's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from served import Done, serve


def check(done: Done, name: str, of: str) -> dict[str, Any]:
    (result,) = done.found["sizes"]
    (found,) = (c for c in result["checks"] if (c["name"], c["of"]) == (name, of))
    return dict(found)


def test_both_servers_of_a_size_are_compared(tmp_path: Path) -> None:
    done = serve("--server", "vllm", "--tp", "2", "--logs", str(tmp_path))
    assert (done.code, done.failed()) == (0, set()), done.found["sentence"]
    assert check(done, "all-reduce", "graph")["found"] == "The log names vllm."
    captured = "2 sizes of prefill in 1.0 s and 2 sizes of decode in 1.0 s, on every rank."
    assert check(done, "captured", "graph")["found"] == captured
    assert " 0 times without" in check(done, "decoded-with-graphs", "graph")["found"]
    assert " 0 times with a graph" in check(done, "decoded-eagerly", "eager")["found"]
    words = {name: (tmp_path / f"tp2-{name}.log").read_text() for name in ("graph", "eager")}
    # Compiled both times: else torch.compile's own rounding would be taken for a graph's fault.
    assert '--compilation-config {"cudagraph_mode": "NONE"}' in words["eager"]
    assert "--compilation-config" not in words["graph"]
    assert not any("--enforce-eager" in text for text in words.values())
    # Neither takes what the other compiled, and none is kept with the logs.
    caches = {re.findall(r"cache directory: (\S+)", text)[0] for text in words.values()}
    assert len(caches) == 2
    assert {path.suffix for path in tmp_path.iterdir()} == {".log"}
    assert not any(cache.startswith(str(tmp_path)) for cache in caches)


def test_what_no_line_can_show_is_said_to_be_unshown_and_fails_nothing() -> None:
    done = serve("--server", "vllm", "--tp", "1", how="second-runner")
    assert (done.code, done.failed()) == (0, set()), done.found["sentence"]
    for name, of in (("decoded-with-graphs", "graph"), ("decoded-eagerly", "eager")):
        found = check(done, name, of)
        assert not found["shown"]
        assert found["found"].startswith("Not shown")


@pytest.mark.parametrize(
    ("how", "code", "failed"),
    [
        ("eager-differs", 11, {"graph-equals-eager"}),
        ("rank-misses-a-size", 46, {"captured"}),
        ("ends-with-another-status", 46, {"stopped"}),
        ("says-nothing-of-decoding", 46, {"decoded-with-graphs", "decoded-eagerly"}),
        ("fails-in-capture", 40, {"ready", "graph-equals-eager"}),
    ],
)
def test_what_a_server_does_wrong_fails_its_own_check(
    how: str, code: int, failed: set[str]
) -> None:
    done = serve("--server", "vllm", "--tp", "2", how=how)
    assert (done.code, done.failed()) == (code, failed)


def test_a_corrupted_replay_is_advised_against_in_the_servers_own_words(tmp_path: Path) -> None:
    how = f"second-differs='{tmp_path}/counted'"
    done = serve("--server", "vllm", "--tp", "1", "--fresh", "2", how=how)
    assert done.code == 19
    assert done.found["sentence"].endswith("Serve with --enforce-eager.")


def test_an_engine_that_vanishes_while_decoding_was_killed_though_the_launcher_ends_well() -> None:
    done = serve("--server", "vllm", "--provoke", "kill-decoding", how="dies-while-decoding")
    assert done.code == 0, done.found["provoked"]
    (provoked,) = done.found["provoked"]
    assert (provoked["run"]["state"], provoked["run"]["cause"]) == ("killed", "vanished")
