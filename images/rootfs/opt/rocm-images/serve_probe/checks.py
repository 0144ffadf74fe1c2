"""Checks two servers of the same size against each other: with captured graphs, and without."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from serve_probe.agreement import agree
from serve_probe.server_log import ServerLog
from serve_probe.tiny_model import VOCABULARY
from serve_probe.traffic import GREEDY_TOKENS, SAMPLED_TOKENS, Answers
from serve_probe.verdict import State, Verdict

_FEWEST_DISTINCT = 16


@dataclass(frozen=True)
class Run:
    """One server from its start to its end; seconds where they are known."""

    graph: bool
    tensor_parallel: int
    verdict: Verdict
    log: ServerLog
    answers: Answers | None = None
    problem: str = ""
    """Why there are no answers, where the log does not say it."""
    ready_seconds: float | None = None
    stop_seconds: float | None = None
    clean: bool = False
    """Whether it ended as a server of its kind does that was told to."""
    left: tuple[str, ...] = ()
    """Processes that were still there after its end."""


@dataclass(frozen=True)
class Check:
    """One check; `found` says what was seen, passed or not, `of` of which server: graph, eager."""

    name: str
    passed: bool
    found: str
    of: str = ""
    shown: bool = True
    """False where this release says nothing that could fail it."""


def check_run(run: Run, expected_all_reduce: str | None) -> list[Check]:
    """What one server must show by itself."""
    of = "graph" if run.graph else "eager"
    return [replace(check, of=of) for check in _checks_of(run, expected_all_reduce)]


def _checks_of(run: Run, expected_all_reduce: str | None) -> list[Check]:
    ready = run.verdict.state is State.READY
    checks = [Check("ready", ready, run.verdict.sentence)]
    if run.answers is None:
        if ready:
            checks.append(Check("answers", False, run.problem or "It gave no answers."))
        return checks
    if run.graph:
        checks.append(_captured(run))
        if run.tensor_parallel > 1:
            checks.append(_all_reduce(run.log.all_reduce, expected_all_reduce))
    checks += [_decoded(run), *_valid(run.answers), _stopped(run)]
    for name, other in (("repeat", run.answers.again), ("batch", run.answers.batch)):
        agreement = agree(run.answers.greedy, other)
        checks.append(Check(name, agreement.within, agreement.words))
    return checks


def check_pair(graph: Run, eager: Run) -> list[Check]:
    """What captured graphs must give: the tokens of eager."""
    if graph.answers is None or eager.answers is None:
        return [Check("graph-equals-eager", False, "One of the two servers gave no answers.")]
    agreement = agree(graph.answers.greedy, eager.answers.greedy)
    return [Check("graph-equals-eager", agreement.within, agreement.words)]


def differing(graphs: Sequence[Run], eager: Run) -> list[int]:
    """Of several servers with graphs, those by number that gave other tokens than eager.

    No number where eager gave no answers: check_pair says that.
    """
    if eager.answers is None:
        return []
    numbered = enumerate(graphs, 1)
    return [n for n, run in numbered if run.answers and not check_pair(run, eager)[0].passed]


def check_fresh(graphs: Sequence[Run], eager: Run) -> Check:
    """Every one of several servers with graphs gives the tokens of eager."""
    if eager.answers is None:
        return Check("fresh", False, "The eager server gave no answers to compare with.")
    wrong = differing(graphs, eager)
    silent = [n for n, run in enumerate(graphs, 1) if run.answers is None]
    right = len(graphs) - len(wrong) - len(silent)
    found = f"{right} of {len(graphs)} servers with graphs gave the tokens of eager"
    for what, numbers in (("other tokens", wrong), ("no answers", silent)):
        found += f"; {what}: {', '.join(map(str, numbers))}" if numbers else ""
    return Check("fresh", not (wrong or silent), f"{found}.")


def _captured(run: Run) -> Check:
    wanted, each = set(range(run.tensor_parallel)), run.log.said.each_rank_names_sizes
    decode = [capture for capture in run.log.captures if capture.phase == "decode"]
    missing = [
        f"{capture.phase} on rank {capture.rank}"
        for capture in run.log.captures
        if not capture.ended
    ]
    if wanted - {capture.rank for capture in decode}:
        missing.append(f"decode on {len(wanted - {c.rank for c in decode})} of {len(wanted)} ranks")
    parts = []
    for capture in run.log.captures:
        named = run.log.sizes_named(capture.phase, capture.rank)
        unnamed = set(capture.sizes) - named
        count = run.log.sizes_counted(capture.phase) or len(capture.sizes)
        if (capture.rank == 0 or each) and unnamed:
            missing.append(f"{capture.phase} at sizes {sorted(unnamed)} on rank {capture.rank}")
        if each and not 0 < count <= len(named):
            missing.append(
                f"{capture.phase} at {count - len(named)} of {count} sizes on rank {capture.rank}"
            )
        if capture.rank == 0:
            parts.append(f"{count} sizes of {capture.phase} in {capture.seconds} s")
    if missing:
        return Check("captured", False, f"Not captured: {'; '.join(missing)}.")
    return Check("captured", True, f"{' and '.join(parts)}, on every rank.")


def _all_reduce(named: str | None, expected: str | None) -> Check:
    if named is None:
        return Check("all-reduce", False, "The log names no all-reduce.")
    if expected is None or named == expected:
        return Check("all-reduce", True, f"The log names {named}.")
    return Check("all-reduce", False, f"The log names {named}; this image declares {expected}.")


def _decoded(run: Run) -> Check:
    with_graph, without = run.log.decoded_with_graph
    wrong = without if run.graph else with_graph
    name = "decoded-with-graphs" if run.graph else "decoded-eagerly"
    if run.log.decodes_untold:
        found = "Not shown: what this server decodes with does not say whether it was a graph."
        return Check(name, True, found, shown=False)
    found = f"By its log it decoded {with_graph} times with a graph, {without} times without one."
    return Check(name, wrong == 0 and with_graph + without > 0, found)


def _valid(answers: Answers) -> list[Check]:
    everything = (*answers.greedy, *answers.again, *answers.batch, *answers.sampled)
    bad = [t for made in everything for t in made.tokens if not 0 <= t < VOCABULARY]
    infinite = sum(not math.isfinite(value) for made in everything for value in made.logprobs)
    lengths = {len(made.tokens) for made in (*answers.greedy, *answers.again, *answers.batch)}
    scored = all(len(made.tokens) == len(made.logprobs) for made in everything)
    whole = lengths == {GREEDY_TOKENS} and scored
    distinct = [len(set(made.tokens)) for made in answers.sampled]
    sampled = (
        all(len(made.tokens) == SAMPLED_TOKENS for made in answers.sampled)
        and min(distinct) >= _FEWEST_DISTINCT
        and len({made.tokens for made in answers.sampled}) == len(answers.sampled)
    )
    return [
        Check(
            "finite",
            not bad and not infinite and whole,
            f"{len(bad)} tokens outside of the vocabulary, {infinite} log-probabilities that are "
            f"no number, {'all' if whole else 'not all'} answers of the asked length.",
        ),
        Check("sampled", sampled, f"{distinct} distinct tokens of {SAMPLED_TOKENS} each."),
    ]


def _stopped(run: Run) -> Check:
    if run.left:
        return Check("stopped", False, f"Processes are left: {'; '.join(run.left)}.")
    if run.stop_seconds is None:
        return Check("stopped", False, "SIGTERM did not end it; it was killed.")
    if not run.clean:
        return Check("stopped", False, "SIGTERM ended it, and not as a clean stop does.")
    return Check("stopped", True, f"{run.stop_seconds:.1f} s after SIGTERM; no process is left.")
