"""Writes docs/crashes.md below its mark: from a symptom to its cause and next step, by the judge.

Examples are lines of the logs in tests/data, judged here as `graph-probe judge` would.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
ROOTFS = PROJECT / "images" / "rootfs"
for folder in (
    ROOTFS / "opt" / "rocm-images",
    PROJECT / "tests" / "unit" / "serve_probe",
    PROJECT / "docs",
):
    sys.path.insert(0, str(folder))

from corpus import CORPUS
from crash_statuses import statuses
from crash_words import phrases_of, words_of

from graph_probe.exit_codes import MEANING, ExitCode
from image_servers import SERVERS
from serve_probe import faults
from serve_probe.causes import CAUSES, Cause, causes_of
from serve_probe.judge import judge_log
from serve_probe.server_log import ServerLog
from serve_probe.verdict import EXIT_OF_STATE, Ending, State

PAGE = PROJECT / "docs" / "crashes.md"
MARK = "<!-- docs/crashes.py -->\n"
RECORDED = PROJECT / "tests" / "data" / "serve_logs"
FROM_REPORTS = PROJECT / "tests" / "data" / "serve_logs_from_reports"
MOST_SHOWN = 160
SHOWN = {"exception": "attn-cp-moe-dp-prefix", "ipc-handle": "ipc-handle-invalid"}
"""By cause, the log to show where the shortest line, "ValueError: q", says nothing, or CUDA."""
CUT = " …"
# Said of a signal by its name alone, and in no log of the tests.
SIGNALS = {"sigill": "Fatal Python error: Illegal instruction"}
NO_LINE = "(?!)"
_SAY = re.compile(r'say ([\w-]+) (warn|fail)[ \\\n]+"((?:[^"\\]|\\.)*)"[ \\\n]+"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Example:
    """A log's line that decided; `alone`: without the rest of its log the verdict is the same."""

    log: str
    server: str
    line: str
    sentence: str
    state: State
    alone: bool
    recorded: bool


def example(path: Path, cause: str) -> Example:
    """What decides in a log that is judged to be of that cause."""
    log = ServerLog(path.read_bytes().decode(errors="replace"))
    verdict = judge_log(log, CORPUS[path.stem].ending)
    line = "".join(char for char in verdict.line if char.isprintable())
    shown = next((text for text in (cut(line), line) if _alone(text) == cause), None)
    return Example(
        path.stem,
        log.said.title,
        shown or cut(line),
        verdict.sentence,
        verdict.state,
        shown is not None,
        path.parent == RECORDED,
    )


def cut(line: str) -> str:
    """A line, or its first words with a mark that there are more."""
    if len(line) <= MOST_SHOWN:
        return line
    return line[: MOST_SHOWN - len(CUT)].rpartition(" ")[0].rstrip() + CUT


def _alone(line: str) -> str | None:
    return judge_log(ServerLog(line), Ending()).cause


def examples() -> dict[str, list[Example]]:
    """By cause; the first is the one to show: recorded before made up, alone before in its log."""
    found: dict[str, list[Example]] = {}
    for folder in (RECORDED, FROM_REPORTS):
        for path in sorted(folder.glob("*.log")):
            cause = CORPUS[path.stem].cause
            if cause is not None:
                found.setdefault(cause, []).append(example(path, cause))
    return {
        cause: sorted(
            those,
            key=lambda one: (
                not one.recorded,
                not one.alone,
                one.log != SHOWN.get(cause, one.log),
                len(one.line),
            ),
        )
        for cause, those in found.items()
    }


def causes() -> dict[str, tuple[Cause, str]]:
    """Every cause with its text, and the one server that can have it ("": any)."""
    found = {one.name: (one, "") for one in vars(faults).values() if isinstance(one, Cause)}
    found |= {one.name: (one, "") for one in CAUSES}
    for server in SERVERS.values():
        own = causes_of(server.log)[: len(server.log.causes)]
        found |= {one.name: (one, server.title) for one in own}
    return found


def advice_of(cause: Cause, server: str) -> str:
    """Its next step, with each server's own name for an option."""
    each = {one.title: asdict(one.log.advice) for one in SERVERS.values()}
    if server:
        return cause.advice.format_map(each[server])
    words = {}
    for key in next(iter(each.values())):
        told = [f"{option[key]} ({title})" for title, option in each.items()]
        same = len({option[key] for option in each.values()}) == 1
        words[key] = next(iter(each.values()))[key] if same else ", or ".join(told)
    return cause.advice.format_map(words)


def _named(advisories: Iterable[str]) -> str:
    return ", ".join(f"[{name}](advisories.md#{name})" for name in advisories)


def patterns() -> dict[str, list[str]]:
    """By cause, the patterns by which the judge knows it: some have one for exceptions and one for
    the runtime's own lines."""
    found: dict[str, list[str]] = {}
    own = [one for server in SERVERS.values() for one in causes_of(server.log)]
    for cause in (*own, *(one for one in vars(faults).values() if isinstance(one, Cause))):
        if cause.pattern.pattern not in (NO_LINE, *found.get(cause.name, ())):
            found.setdefault(cause.name, []).append(cause.pattern.pattern)
    return found


def _shown(name: str, logs: list[Example]) -> str:
    return logs[0].line if logs else SIGNALS.get(name, "")


def index() -> Iterator[str]:
    """An item for each phrase, in the order of the alphabet."""
    logs = examples()
    items = {
        phrase: name
        for name in sorted({*logs, *causes(), *SIGNALS})
        for phrase in phrases_of(name, patterns().get(name, ()), _shown(name, logs.get(name, [])))
    }
    for phrase in sorted(items, key=in_the_index):
        yield f"- `{phrase}`: [{items[phrase]}](#{items[phrase]})"


def in_the_index(phrase: str) -> str:
    """What a phrase is sorted by: from its first letter on, numbers by their size."""
    letters = re.sub(r"^\W+", "", phrase).casefold()
    return re.sub(r"\d+", lambda number: number[0].zfill(8), letters)


def entry(name: str, cause: Cause | None, server: str, logs: list[Example]) -> Iterator[str]:
    """The part of the page about one cause."""
    yield f"### {name}\n"
    shown = _shown(name, logs)
    words = [one for one in words_of(name, patterns().get(name, ()), shown) if one not in shown]
    first = logs[0] if logs else None
    if first:
        yield f"    {first.line}\n"
        titles = " and ".join(sorted({one.server for one in logs}))
        recorded = sum(one.recorded for one in logs)
        kinds = [f"{recorded} recorded on NVIDIA GPUs"] * (recorded > 0)
        made = len(logs) - recorded
        kinds += [f"{made} made up after public reports and sources"] * (made > 0)
        told = "" if first.alone else " The rest of the log decides, not this line alone."
        states = ", ".join(f"`{state}`" for state in sorted({one.state for one in logs}))
        known = f"State {states}. Logs in the tests, of {titles}: {', '.join(kinds)}.{told}\n"
    elif name in SIGNALS:
        yield f"    {SIGNALS[name]}\n"
        known = "Python's words, by its sources; no log in the tests has them.\n"
    else:
        known = f"{server or 'Any server'}'s, known from sources; no log in the tests has it.\n"
    if words:
        yield f"Also: {', '.join(f'`{one}`' for one in words)}.\n"
    if cause is None:
        text = first.sentence if first else judge_log(ServerLog(SIGNALS[name]), Ending()).sentence
        yield f"What the judge says of that one: {text}\n"
    else:
        yield f"{cause.said}. **Next:** {advice_of(cause, server)}\n"
        if first and not first.sentence.endswith(advice_of(cause, first.server)):
            yield f"What the judge says of that one: {first.sentence}\n"
        if cause.advisories:
            yield f"Where the signs are its own: {_named(cause.advisories)}.\n"
    yield known


def by_exit_code() -> dict[ExitCode, list[str]]:
    """The names of the causes by the exit code of what most of their logs are."""
    logs, known = examples(), causes()
    found: dict[ExitCode, list[str]] = {}
    for name in sorted({*logs, *known, *SIGNALS}):
        states = [one.state for one in logs.get(name, [])]
        own = known[name][0].state if name in known else State.CRASHED
        state = max(sorted(set(states)), key=states.count) if states else own
        found.setdefault(EXIT_OF_STATE[state], []).append(name)
    return found


def _without_shell(text: str) -> str:
    """A message of rocm-preflight with NAMES where the shell puts values."""
    text = re.sub(r"\$\(\(.*?\)\)", "N", text)
    text = re.sub(r"\$\{\w+:\+[^}]*\}", "", text)
    text = re.sub(r"(?<=\w)\$", " $", text)
    return re.sub(r"\$\{?(?:image_)?(\w+)(?::-[^}]*\})?\}?", lambda name: name[1].upper(), text)


def machine() -> Iterator[str]:
    """What the entrypoint says of the machine: a row for each message of rocm-preflight."""
    yield "| check | it says | next |"
    yield "|---|---|---|"
    script = (ROOTFS / "usr" / "local" / "bin" / "rocm-preflight").read_text()
    for name, status, said, advice in _SAY.findall(script):
        code = f", exit code {int(ExitCode.WRONG_GFX)}" if status == "fail" else ""
        yield f"| `{name}`{code} | {_without_shell(said)} | {_without_shell(advice)} |"


def _heading(code: ExitCode) -> str:
    return f"{code.value}: {MEANING[code]}"


def _anchor(code: ExitCode) -> str:
    """What GitHub and MyST call that heading."""
    return re.sub(r"[^\w\- ]", "", _heading(code).lower()).replace(" ", "-")


def page(head: str) -> str:
    """The whole page: what is written by hand, to the mark, and what is made."""
    logs, known = examples(), causes()
    parts = [head.partition(MARK)[0] + MARK]
    parts.append("## Exit status of a container\n")
    parts.append("\n".join(statuses({*logs, *SIGNALS})) + "\n")
    parts.append("## Index of messages\n")
    parts.append(
        "What a line of the log says, and the entry that it leads to. Most words with HIP lead "
        'there with CUDA as well, and stand so in the entry. What follows "Also" there are '
        "words that the judge looks for, from sources and reports: lines of no run.\n"
    )
    parts.append("\n".join(index()) + "\n")
    parts.append("What follows is in the order of the exit codes of `graph-probe judge`.\n")
    for code, names in sorted(by_exit_code().items()):
        parts.append(f"## {_heading(code)}\n")
        for name in names:
            cause, server = known.get(name, (None, ""))
            parts += entry(name, cause, server, logs.get(name, []))
    parts.append("## What the entrypoint says\n")
    parts.append("On stderr, before the command, as `rocm-images: warning:` or `error:`.\n")
    parts.append("\n".join(machine()) + "\n")
    parts.append("## Exit codes of graph-probe\n")
    judged = set(EXIT_OF_STATE.values()) - {ExitCode.PASS}
    rows = [
        f"| {f'[{code.value}](#{_anchor(code)})' if code in judged else code.value} "
        f"| {MEANING[code]} |"
        for code in ExitCode
    ]
    parts.append("\n".join(["| exit code | meaning |", "|---|---|", *rows]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
