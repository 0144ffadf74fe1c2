"""A server's log is read up to a limit, whatever the server writes."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from image_servers import SERVERS
from serve_probe import log_file, server
from serve_probe.log_lines import MOST_CHARACTERS
from serve_probe.server_log import ServerLog


@pytest.mark.parametrize("name", sorted(SERVERS))
@pytest.mark.parametrize(
    "text", ["[", "Capture cuda graph begin. ", "TP0] bs=1 ", "\x1b[", "#running-req: 1, ", " "]
)
def test_a_line_of_megabytes_is_looked_through_in_no_time(name: str, text: str) -> None:
    begun = time.process_time()
    log = ServerLog(text * (4_000_000 // len(text)), SERVERS[name].log)
    assert max(map(len, log.lines)) <= MOST_CHARACTERS
    assert log.captures is not None
    for phase in log.said.progress_phase.values():
        log.sizes_named(phase)
    assert sum(log.decoded_with_graph) <= MOST_CHARACTERS
    # Of this process's own time: seconds where a pattern looks at each character from each one.
    assert time.process_time() - begun < 20


def test_of_an_endless_log_the_beginning_and_the_end_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "MOST_BYTES", 4)
    path = tmp_path / "log"
    for content, read in (
        (b"", ""),
        (b"abc", "abc"),
        (b"abcdef", "abcdef"),
        (b"begin and end", "begi end"),
        (b"\xffbcd", "\ufffdbcd"),
    ):
        path.write_bytes(content)
        assert server.RunningServer.text(SimpleNamespace(log=path)) == read
