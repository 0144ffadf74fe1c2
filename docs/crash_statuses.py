"""What the exit status of a container says: of a signal the judge, of others their makers."""

from __future__ import annotations

import signal
from collections.abc import Collection, Iterator

from graph_probe.exit_codes import ExitCode
from serve_probe.deaths import OTHER_SIGNAL
from serve_probe.judge import judge
from serve_probe.verdict import Ending

OF_A_SHELL = 128
# Of 125 to 127: docker/cli, cli/command/container/run.go.
OF_STATUSES = {
    0: "says nothing: read the log",
    1: "says nothing: read the log",
    2: "the entrypoint: no command, or CAPTURE_GUARD is neither 1 nor 0",
    int(ExitCode.WRONG_GFX): "the entrypoint: no GPU that is visible is of the image's arch",
    125: "`docker run` could not start the container, and says why after `docker:`",
    126: "the command cannot be run: it is no program, or this user may not (the entrypoint's line "
    "with `exec:` says which), or `docker:` and `permission denied`",
    127: "there is no such command in the image (the entrypoint's line with `exec:`); or after "
    "`docker:` a file that the host does not have, as in `error gathering device information while "
    'adding custom device "/dev/kfd": no such file or directory`: the host\'s amdgpu driver is not '
    "loaded",
}
OF_DEATHS = {
    "killed": "; also after a failure that the log names, since launchers kill their processes",
    "sigbus": ", mostly /dev/shm",
    "sigsys": ", mostly by a seccomp profile",
}


def statuses(entries: Collection[str]) -> Iterator[str]:
    """A row for each; of a signal where one of the entries is what the judge calls it, and one row
    for all signals that it has no name of their own for."""
    yield "| status | |"
    yield "|---|---|"
    rows = {status: (str(status), said) for status, said in OF_STATUSES.items()}
    for number in sorted(signal.Signals):
        cause = judge("", Ending(-number)).cause or ""
        if cause in entries and cause != OTHER_SIGNAL:
            said = f"{number.name}: [{cause}](#{cause}){OF_DEATHS.get(cause, '')}"
            rows[OF_A_SHELL + number] = f"{OF_A_SHELL + number}, -{number}", said
    yield from (f"| {status} | {said} |" for _, (status, said) in sorted(rows.items()))
    last = OF_A_SHELL + signal.NSIG - 1
    yield f"| another to {last} | signal N for 128 + N, or -N: [{OTHER_SIGNAL}](#{OTHER_SIGNAL}) |"
