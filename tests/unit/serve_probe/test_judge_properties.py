"""Whatever stands between a server and whoever reads its log, the verdict of the corpus holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from corpus import CORPUS
from hypothesis import given
from hypothesis import strategies as st

from image_servers import DEFAULT
from raw_logs import log_names, read_log
from serve_probe.judge import judge
from serve_probe.server_log import ServerLog
from serve_probe.verdict import Verdict

WRAPPERS: dict[str, Callable[[str], str]] = {
    "kubectl": lambda line: f"[pod/llm-7f9c-x2/server] {line}",
    "kubectl with times": lambda line: f"[pod/llm-0/server] 2026-05-02T07:11:05.123456789Z {line}",
    "docker logs -t": lambda line: f"2026-05-02T07:11:05.123456789Z {line}",
    "a zone": lambda line: f"2026-05-02T07:11:05+02:00 {line}",
    "CRI": lambda line: f"2026-05-02T07:11:05.123456789Z stderr F {line}",
    "compose": lambda line: f"sglang-server-1  | {line}",
    "journald": lambda line: f"May  2 07:11:05 node7 sglang[4100]: {line}",
    "journald, short-iso": lambda line: f"2026-05-02T07:11:05+0000 node7 docker[12]: {line}",
    "journald, precise": lambda line: f"May 02 07:11:05.123456 node7 docker[12]: {line}",
    "ts": lambda line: f"May 02 07:11:05 {line}",
    "GitLab": lambda line: f"2026-05-02T07:11:05.123456Z 01O {line}",
    "a collector's tab": lambda line: f"2026-05-02T07:11:05.123456Z\t{line}",
    "Ray": lambda line: f"(ServeReplica pid=4100, ip=10.0.0.7) {line}",
    "torchrun": lambda line: f"[default0]:{line}",
    "MPI": lambda line: f"[1,0]<stderr>:{line}",
    "Kibana": lambda line: f"May 2, 2026 @ 20:30:01.100    {line}",
    "json-file": lambda line: json.dumps({"log": f"{line}\n", "stream": "stderr"}),
}
# What other processes write, and what says nothing of a failure.
BESIDE = [
    '[2026-05-02 07:11:05] INFO:     10.0.0.8:40112 - "GET /model_info HTTP/1.1" 307 Redirect',
    "[2026-05-02 07:11:05 TP9] Tree cache initialized: source=default impl=ChunkCache",
    "[2026-05-02 07:11:05 DP1 TP9 EP9] max_total_num_tokens=131072, context_len=4096",
    "[rank9]:[W502 07:11:05.1 ProcessGroupNCCL.cpp:1575] Warning: destroy_process_group() was not "
    "called before program exit",
    "[rank9]:[W502 07:11:05.1 TCPStore.cpp:125] [c10d] recvValue failed on SocketImpl(fd=32, "
    "addr=[a]:5, remote=[a]:4): Connection reset by peer",
    "[aiter] import [module_norm] under /opt/venv/aiter/jit/module_norm.so",
    "[Gloo] Rank 0 is connected to 1 peer ranks. Expected number of connected peer ranks is : 1",
    "/opt/venv/x.py:56: UserWarning: the server's words are of no use here",
    "  warnings.warn(",
    "",
]
COLOURS = ["\x1b[0m", "\x1b[31m", "\x1b[1;32m", "\x1b[K", "\x1b[?25l"]
FULL_LINE = 1500
NAMES = st.sampled_from(log_names())


def judged(name: str, text: str | None = None) -> Verdict:
    return judge(read_log(name) if text is None else text, CORPUS[name].ending)


def placed(verdict: Verdict) -> Verdict:
    """All of a verdict but the line that it quotes, which is written in another way."""
    return replace(verdict, line="", sentence="")


def lines_of(name: str) -> list[str]:
    return read_log(name).split("\n")


@pytest.mark.parametrize("name", log_names())
def test_what_a_collector_puts_before_each_line(name: str) -> None:
    whole = judged(name)
    for wrapper, wrap in WRAPPERS.items():
        assert judged(name, "\n".join(map(wrap, lines_of(name)))) == whole, wrapper


@given(NAMES, st.data())
def test_lines_of_others_between(name: str, data: st.DataObject) -> None:
    lines = lines_of(name)
    # The last line is what a server that hangs stands at.
    places = st.lists(st.integers(0, max(len(lines) - 2, 0)), min_size=1, max_size=12)
    log = ServerLog(read_log(name))
    ours = log.said is DEFAULT.log
    # One GPU has no other rank that could write.
    ranks = any(entry.rank is not None for entry in log.entries)
    fits = [line for line in BESIDE if ours or not line.startswith("[20")]
    beside = st.sampled_from([line for line in fits if ranks or " TP9" not in line])
    for place in sorted(data.draw(places), reverse=True):
        lines.insert(place, data.draw(beside))
    assert judged(name, "\n".join(lines)) == judged(name)


@given(NAMES, st.data())
def test_colours_and_what_a_terminal_is_told(name: str, data: st.DataObject) -> None:
    lines = lines_of(name)
    for place in data.draw(st.lists(st.integers(0, len(lines) - 1), min_size=1, max_size=20)):
        before, after = data.draw(st.tuples(*[st.sampled_from(COLOURS)] * 2))
        lines[place] = f"{before}{lines[place]}{after}"
    assert judged(name, "\n".join(lines)) == judged(name)


@given(NAMES, st.integers(600, FULL_LINE))
def test_lines_that_are_cut(name: str, most: int) -> None:
    cut = "\n".join(line[-most:] if "\r" in line else line[:most] for line in lines_of(name))
    whole = judged(name)
    assert placed(judged(name, cut)) == placed(whole)


@given(NAMES, st.sampled_from(["DP3 {} EP3", "DP0 PP1 {}", "PP0 ATTN_CP1 MOE_DP0 {} EP7"]))
def test_ranks_of_other_parallelisms_beside_that_of_tensors(name: str, form: str) -> None:
    text = re.sub(
        r"^(\[[\d: -]{19}) (TP\d+)\]",
        lambda found: f"{found[1]} {form.format(found[2])}]",
        read_log(name),
        flags=re.MULTILINE,
    )
    whole = judged(name)
    assert placed(judged(name, text)) == placed(whole)


@given(NAMES, st.data())
def test_milliseconds_and_line_ends(name: str, data: st.DataObject) -> None:
    text = re.sub(r"^(\[[\d-]{10} [\d:]{8})(?!\.)", r"\1.733", read_log(name), flags=re.MULTILINE)
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    whole = judged(name)
    text = re.sub(r"\r?\n", end.replace("\\", r"\\"), text)
    assert placed(judged(name, text)) == placed(whole)
