"""Runs the pipeline of docs/gitlab.md by gitlab-ci-local, which stands in for GitLab."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checkouts import PROJECT, copied

from rehearsal.unpacked_programs import rsync

PROGRAM = PROJECT / ".cache/workflow-lint/node_modules/gitlab-ci-local/dist/index.js"
SECONDS = 600
_ENDED = re.compile(r"^\s*(PASS|FAIL)\s+(?:\[\S+\] -> )?(\S+)", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Ran:
    """What one pipeline came to, with its child."""

    jobs: Mapping[str, bool]
    """Whether each job passed, the child's as well."""
    child: Mapping[str, Any]
    """The child pipeline that was generated."""
    reports: tuple[str, ...]
    """The JUnit reports that are artifacts of jobs."""
    text: str


class GitLab:
    """A repository with the example's pipeline, and what runs it.

    Each job works in a copy of what git knows. `make environment` finds the environment of this
    checkout there: it is made once, by `make test`.
    """

    def __init__(self, folder: Path, public_key: Path) -> None:
        self.folder = folder / "repository"
        self.folder.mkdir(parents=True)
        self._home = folder / "home"
        self._programs = folder / "programs"
        self._programs.mkdir()
        found = rsync()
        given = [f"{name}={value}" for name, value in found.environment.items()]
        self._script(self._programs / "rsync", *("env", *given, str(found.path)))
        copied(self.folder)
        (self.folder / ".cache").symlink_to(PROJECT / ".cache")
        # The images have been tested here: no job does it again.
        shutil.copytree(PROJECT / "build" / "evidence", self.folder / "build" / "evidence")
        document = (PROJECT / "docs" / "gitlab.md").read_text()
        example = document.partition("```yaml\n")[2].partition("```")[0]
        (self.folder / ".gitlab-ci.yml").write_text(example)
        # Where the example has it.
        shutil.copy(public_key, self.folder / "cosign.pub")
        python = self.folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        self._script(python, sys.executable)
        (self.folder / ".venv" / ".made-from-requirements").touch()
        # Older than what was made from it, as after `make environment`.
        os.utime(self.folder / "requirements.txt", (0, 0))
        for words in (
            ("init", "--quiet"),
            ("add", "--all", "--force"),
            *(("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "all"),),
            ("remote", "add", "origin", "https://gitlab.example.org/team/images.git"),
        ):
            subprocess.run(["git", *words], cwd=self.folder, check=True)

    @staticmethod
    def _script(path: Path, *words: str) -> None:
        path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        path.chmod(0o755)

    def run(self, environment: Mapping[str, str], variables: Mapping[str, str]) -> Ran:
        """Run the pipeline, with variables as a project on GitLab sets them."""
        given = [f"--variable={name}={value}" for name, value in variables.items()]
        around = {**os.environ, **environment}
        done = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("node")), str(PROGRAM)),
                *("--force-shell-executor", "--home", str(self._home), *given),
            ],
            cwd=self.folder,
            env={
                **{k: v for k, v in around.items() if not k.startswith(("MAKE", "MFLAGS"))},
                "PATH": os.pathsep.join([str(self._programs), around["PATH"]]),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        text = _COLOUR.sub("", done.stdout)
        assert done.returncode == 0, text
        generated = self.folder / "cells.yml"
        assert generated.exists(), text
        reports = self.folder.glob(".gitlab-ci-local/artifacts/**/*.junit.xml")
        return Ran(
            {name: end == "PASS" for end, name in _ENDED.findall(text) if name != "cells"},
            json.loads(generated.read_text()),
            tuple(path.read_text() for path in reports),
            text,
        )
