"""The replay fuzzer and the small cases, built and run in the laboratory."""

from __future__ import annotations

import subprocess
from typing import Any

SOURCE = "/project/tests/emulation/replay_fuzz"
BUILD = "/tmp/replay_fuzz"


class FuzzPrograms:
    """Builds the programs once; a run is a call of run_fuzz.py or run_cases.py."""

    def __init__(self, laboratory: Any) -> None:
        self.laboratory = laboratory
        # Not optimised: what takes time is the runtime's work and the compiler's.
        words = [
            "make",
            "-s",
            "-j2",
            "-C",
            SOURCE,
            f"BUILD={BUILD}",
            "EMULATION=/project/emulation",
        ]
        made = laboratory.run(*words, "CXXFLAGS=-O0", "all", "kernels", timeout=180)
        assert made.returncode == 0, made.stdout + made.stderr

    def run(
        self, program: str, version: str, *words: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the folder on AMD's runtime of that version."""
        runtime = self.laboratory.runtime(version)
        ways = ["--lib", str(runtime.lib), "--hiprtc", str(runtime.hiprtc), "--build", BUILD]
        done: subprocess.CompletedProcess[str] = self.laboratory.run(
            "python3",
            f"{SOURCE}/{program}",
            *ways,
            *words,
            env={**runtime.environment, **variables},
            timeout=180,
        )
        return done

    def fuzz(self, version: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run seeds; the programs' options follow `--`."""
        return self.run("run_fuzz.py", version, *words, **variables)

    def case(
        self, version: str, name: str, *words: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the smallest cases."""
        return self.run("run_cases.py", version, name, *words, **variables)
