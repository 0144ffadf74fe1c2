"""`build.py publish` of four images beside `docker buildx bake --push` of the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import Bake
from benchmarks.engine import BRIDGE, FOLDER, benchmark_engine
from benchmarks.measure import CommandFailed, measure
from benchmarks.project_copy import ProjectCopy, copy_project
from benchmarks.pulling.registry import Registry
from benchmarks.pulling.rounds import Run, Runs, Say
from benchmarks.scenarios import remove_what_was_built

STEP, PUBLISH, BAKE = "publishing 4 images", "build.py publish", "bake --push"
_BASES = ("7.2.0", "7.2.2")
# The key signs stand-ins on this machine and is made anew each time: it protects nothing.
_PASSWORD = "benchmark"
# No more of a rehearsal than must be made with the host's network.
_STAND_INS = """\
import sys
from pathlib import Path
from rehearsal.stand_ins import Rehearsal
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
matrix = load(Path("matrix.yaml"))
Rehearsal().prepared(matrix, [cell for cell in cells_of(matrix) if cell.rocm in sys.argv[1:]])
"""
_WRAPPER = """\
#!/bin/sh
begun=$(date +%s.%N)
"{program}" "$@"
status=$?
echo "$1 $begun $(date +%s.%N)" >> "{log}"
exit $status
"""


@dataclass(frozen=True)
class Published:
    """The built and tested images, and how both publish them."""

    project: ProjectCopy
    environment: Mapping[str, str]
    registry: Registry

    @property
    def _key(self) -> Path:
        return self.project.folder / "cosign.key"

    @property
    def ours(self) -> list[str]:
        """`build.py publish`, with a key."""
        where = [f"--registry={self.registry.address}", "--channel=preview", "--rehearse"]
        bases = [f"--base={base}" for base in _BASES]
        words = [sys.executable, "build.py", "publish", *where, *bases]
        return [*words, f"--sign-key={self._key}", f"--output={self.project.folder / 'published'}"]

    def bakes(self, repository: str, *, push: bool) -> list[str]:
        """`docker buildx bake`, whose images have names in `repository`."""
        words = Bake("bake", self.environment, repository).words(self.project)
        return [*words, "--push"] if push else words

    def measured(self, found: Runs, runs: int, say: Say) -> None:
        """Publish to an empty registry, in turns; what was measured is added to `found`."""
        both = {PUBLISH: self.ours, BAKE: self.bakes(f"{self.registry.address}/bake", push=True)}
        for number in range(runs):
            names = list(both)[:: -1 if number % 2 else 1]
            for name in names:
                self.registry.lay_out(None)
                took = measure(both[name], self.project.folder, self.environment)
                run = Run(took.seconds, took.peak_bytes)
                found.setdefault(STEP, {}).setdefault(name, []).append(run)
                say(f"{STEP}: {name}: {took.seconds:.2f} s")

    def account(self) -> str:
        """Where the time of one more publication goes, in a sentence."""
        self.registry.lay_out(None)
        folder = self.project.folder / "wrapped"
        folder.mkdir(exist_ok=True)
        log = folder / "log"
        log.unlink(missing_ok=True)
        program = shutil.which("cosign", path=self.environment["PATH"])
        (folder / "cosign").write_text(_WRAPPER.format(program=program, log=log))
        (folder / "cosign").chmod(0o755)
        path = os.pathsep.join((str(folder), self.environment["PATH"]))
        begun = time.time()
        with subprocess.Popen(
            self.ours,
            cwd=self.project.folder,
            env={**self.environment, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            marks = [(time.time() - begun, line) for line in process.stderr]
        whole = time.time() - begun
        if process.returncode != 0:
            raise CommandFailed("".join(line for _, line in marks))
        return account_of(begun, whole, marks, log.read_text())


def account_of(begun: float, whole: float, marks: list[tuple[float, str]], log: str) -> str:
    """What happened until when, and how long cosign ran.

    Args:
        begun: when it began, as the log has its times.
        whole: seconds to its end.
        marks: what it printed, and after how many seconds.
        log: of each process of cosign its verb, its begin and its end.
    """
    pushed, read, signed, done = (
        min((at for at, line in marks if f"  {word}" in line), default=whole)
        for word in ("push", "read back", "sign", "=>")
    )
    ran = [
        (verb, float(a) - begun, float(b) - begun)
        for verb, a, b in map(str.split, log.splitlines())
    ]
    verbs = dict.fromkeys(verb for verb, *_ in ran)
    calls = ", ".join(f"{sum(verb == one for one, *_ in ran)} {verb}" for verb in verbs)
    return (
        f"One publication of {whole:.1f} s, accounted for: until the first push began "
        f"{pushed:.1f} s, the layers {read - pushed:.1f} s, read back {signed - read:.1f} s, "
        f"signatures, statements and tags {done - signed:.1f} s, catalogue {whole - done:.1f} s. "
        "During "
        f"{covered([(a, b) for _, a, b in ran]):.1f} s of it cosign ran: {calls}."
    )


def covered(spans: list[tuple[float, float]]) -> float:
    """How long at least one of them lasted."""
    total, end = 0.0, 0.0
    for begin, until in sorted(spans):
        total += max(0.0, until - max(begin, end))
        end = max(end, until)
    return total


@contextmanager
def published(program: Path, say: Say) -> Iterator[Published]:
    """Four rehearsed images, tested, on an engine of the benchmarks, and an empty registry.

    Raises:
        EngineError: the engine or the registry does not start.
        CommandFailed: the images do not build, or do not pass.
    """
    project = copy_project(FOLDER / "project-published", _BASES)
    words = [*(f"--base={base}" for base in _BASES), "--rehearse", "--jobs=2"]
    with benchmark_engine("none") as environment:
        say("the stand-in bases, where they are missing")
        measure([sys.executable, "-c", _STAND_INS, *_BASES], project.folder, environment)
    registry = Registry(program, FOLDER / "pulling" / "registry")
    with benchmark_engine(BRIDGE) as environment:
        environment = {**environment, "COSIGN_PASSWORD": _PASSWORD}
        made = Published(project, environment, registry)
        try:
            say(f"{STEP}: they are built and tested, unmeasured")
            measure([sys.executable, "build.py", *words], project.folder, environment)
            # Both have built what they publish.
            measure(made.bakes("bench/bake", push=False), project.folder, environment)
            measure(["cosign", "generate-key-pair"], project.folder, environment)
            yield made
        finally:
            registry.stop()
            remove_what_was_built(environment)
            shutil.rmtree(project.folder)
