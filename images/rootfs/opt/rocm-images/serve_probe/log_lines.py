"""Takes a log apart into lines: what wrapped them is taken off, and who wrote each is said.

A log comes from a terminal, `docker logs`, compose, kubectl, journald, a log collector: each writes
something before every line. Progress bars end in carriage returns, or in another process's words.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from image_facts import foreign
from image_servers import LogLines

MOST_CHARACTERS = 65536
"""Of a line: what says something stands at its beginning, and patterns look for long in more."""
_ESCAPE = re.compile(
    r"\x1b\[[0-9;?]{0,60}[A-Za-z]|\x1b[=>]|\x1b\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)"
)
# Where a progress bar ends and another process's words begin: after it, or where it was cut.
_AFTER_BAR = re.compile(
    r"(?<=it\])(?=[^\s\]])|(?<=it/s\])(?=[^\s\]])"
    r"|(?<=.)(?=\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|Fatal Python error: |HW Exception by)"
    r"|(?<=.)(?=Memory access fault by)"
)
_WRAPPED = re.compile(
    r"\[pod/[^\]\s]{1,300}\] "  # kubectl logs --prefix
    r"|[\w.-]{1,120} {1,40}\| "  # docker compose
    # docker logs -t, kubectl --timestamps; then CRI's files, GitLab's, or journald's short-iso
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)[ \t]"
    r"(?:std(?:out|err) [FP] |\d\d[OE][ +]|[\w.-]{1,120} [\w.@/-]{1,120}\[\d{1,10}\]: )?"
    # syslog and journald; `ts`
    r"|(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})? "
    r"(?:[\w.-]{1,120} (?:[\w.@/-]{1,120}\[\d{1,10}\]|[a-z][\w.@/-]{0,120}): )?"
    r"|[A-Z][a-z]{2} \d{1,2}, \d{4} @ \d\d:\d\d:\d\d(?:\.\d{1,9})? {1,8}"  # Kibana
    # srun, torchrun, MPI
    r"|\d{1,4}: (?=\[)|\[default\d{1,6}\]: ?|\[\d{1,9},\d{1,9}\]<std(?:out|err)>: ?"
    r"|\((?:[\w.]{1,80} )?pid=\d{1,10}, ip=[\d.]{7,15}\) "  # Ray
)
_MOST_WRAPPERS = 5
_TORCH = re.compile(r"\[rank(\d{1,6})\]:(?:\[([A-Z])[^\]]{1,120}\])? ?")


class Line(NamedTuple):
    """One line without what wrapped it. `level` is torch's letter, `I`, `W`, `E`, where it has one.

    `own`: its prefix says who wrote it, so `message` begins where that process began to speak.
    """

    message: str
    prefix: str = ""
    rank: int | None = None
    level: str | None = None

    @property
    def own(self) -> bool:
        return bool(self.prefix)


def plain_lines(text: str) -> list[str]:
    """The lines of a log, each without what a terminal, a container or a collector put before."""
    lines: list[str] = []
    for written in text.split("\n"):
        # Of a progress bar, each state is a line.
        for drawn in _from_json(written).rstrip("\r").split("\r"):
            line = _unwrapped(_ESCAPE.sub("", drawn[:MOST_CHARACTERS]))
            bar = "it/s" in line or "s/it" in line or line.startswith("Capturing ")
            lines += _AFTER_BAR.split(line) if bar else [line]
    return lines


def _from_json(line: str) -> str:
    """The text of a line of Docker's json-file logs."""
    if not line.startswith('{"log":'):
        return line
    try:
        return str(foreign.parsed(line)["log"]).rstrip("\n")
    except (ValueError, KeyError, TypeError):
        return line


def _unwrapped(line: str) -> str:
    for _ in range(_MOST_WRAPPERS):
        found = _WRAPPED.match(line)
        if found is None:
            break
        line = line[found.end() :]
    return line


def parsed(line: str, said: LogLines) -> Line:
    """One line with its prefix, the server's or torch's, taken off."""
    found = said.prefix.match(line)
    if found and found.end():
        prefix = found[0]
        rank = said.rank.search(prefix)
        return Line(line[found.end() :], prefix, int(rank[1]) if rank else None)
    found = _TORCH.match(line)
    if found:
        return Line(line[found.end() :], found[0], int(found[1]), found[2])
    return Line(line)
