"""Finds the exceptions that a server's log reports: who reported each, and its whole chain.

Python prints the first exception of a chain first; what follows it, and what the launcher says of
it, are consequences.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from serve_probe.log_lines import Line
from serve_probe.server_log import ServerLog

_TRACEBACK = "Traceback (most recent call last):"
_CHAINED = re.compile(r"^(?:During handling of the above|The above exception was the direct cause)")
_NAMED = re.compile(
    r"^(?:[A-Za-z_]\w{0,80}\.){0,8}[A-Za-z_]\w{0,80}?"
    r"(?:Error|Exception|Interrupt|Exit|OutOfResources)(?:: |:?$)"
)
_LAST_LINE = re.compile(
    r"^(?!(?:DEBUG|INFO|WARNING|ERROR|CRITICAL):)"
    r"(?:(?:[A-Za-z_]\w{0,80}\.){0,8}[A-Za-z_]\w{0,80}: "
    r"|(?:[a-z_]\w{0,80}\.){0,8}(?:StopIteration|StopAsyncIteration|Empty|Full|\w{1,80}Group)$)"
)
_MOST_WAITING = 64
"""Reports at once of which each waits for its exception."""
_SEARCH_FOR = re.compile(r"^Search for `\w{1,80}'")
_SOURCE = re.compile(r"(?:\([^)]{1,80}\) ?){1,3}|\[rank\d{1,6}\]:")


@dataclass
class Report:
    """One report of a chain of exceptions; `line` is where it begins, `links` its exceptions.

    `ends`: a process says that this ends it. `process` is a key of LogLines.processes.
    """

    line: int
    head: str
    rank: int | None = None
    process: str | None = None
    ends: bool = False
    links: list[tuple[int, str]] = field(default_factory=list)
    awaited: bool = False
    """A traceback has begun whose exception has not come yet."""
    chained: bool = False

    @property
    def first(self) -> tuple[int, str]:
        """The line of the first exception of the chain, and its text."""
        return self.links[0] if self.links else (self.line, self.head)

    @property
    def text(self) -> str:
        return "\n".join(text for _, text in self.links)


def reports(log: ServerLog) -> list[Report]:
    """Every report in the order in which they begin."""
    found: list[Report] = []
    # Those that may go on, by who writes them: "" is whoever writes without a prefix.
    going: dict[str, list[Report]] = {}
    for number, entry in enumerate(log.entries):
        text = entry.message
        if log.said.survived.search(entry.prefix):
            continue
        source = _SOURCE.match(entry.prefix)
        mine = going.setdefault(source[0].strip() if source else "", [])
        failed = log.said.failed.search(text) if entry.own or not text[:1].isspace() else None
        if failed:
            head = Report(number, text, entry.rank, failed[1], True, awaited=_TRACEBACK in text)
            found.append(head)
            _goes_on(mine, head)
        elif text.startswith(_TRACEBACK) or (entry.own and text.endswith(_TRACEBACK)):
            _begin(found, mine, number, entry)
        elif _CHAINED.match(text):
            if mine:
                mine[-1].chained = True
        elif _SEARCH_FOR.match(text) and mine and mine[-1].links:
            line, said = mine[-1].links[-1]
            mine[-1].links[-1] = line, f"{said}\n{text}"
        elif entry.own and not source:
            # A logger's one line, whoever's: no part of a traceback that somebody writes.
            if _NAMED.match(text):
                found.append(Report(number, text, entry.rank, links=[(number, text)]))
        elif _NAMED.match(text) or (_LAST_LINE.match(text) and any(r.awaited for r in mine)):
            _link(found, mine, number, entry)
    return found


def _goes_on(mine: list[Report], report: Report) -> None:
    """Keeps it, and of the others those that still wait for their exception."""
    mine[:] = [*[one for one in mine if one.awaited][-_MOST_WAITING:], report]


def _begin(found: list[Report], mine: list[Report], number: int, entry: Line) -> None:
    """A traceback begins: of a report that waits for it, or of a new one."""
    waiting = next((r for r in mine[-1:] if r.chained or not (r.links or r.awaited)), None)
    if waiting is None or not entry.message.startswith(_TRACEBACK):
        waiting = Report(number, entry.message, entry.rank)
        found.append(waiting)
        _goes_on(mine, waiting)
    waiting.awaited, waiting.chained = True, False


def _link(found: list[Report], mine: list[Report], number: int, entry: Line) -> None:
    """An exception's own line. Of several reports that wait for one, the first gets it."""
    report = next((r for r in mine if r.awaited), None)
    if report is None and mine and mine[-1].chained:
        report = mine[-1]
    if report is None:
        report = Report(number, entry.message, entry.rank)
        found.append(report)
        _goes_on(mine, report)
    report.links.append((number, entry.message))
    report.awaited = report.chained = False
