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

import four_cells
import yaml
from checkouts import PROJECT, copied

from conftest import Keys
from rehearsal.unpacked_programs import rsync

REPOSITORY = "sglang-rocm-of-gitlab"
"""Of its images."""
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
    artifacts: Path
    """A folder with those of each job."""
    text: str


class GitLab:
    """A repository with the example's pipeline, and what runs it.

    Each job works in a copy of what git knows. `make environment` finds the environment of this
    checkout there: it is made once, by `make test`.
    """

    def __init__(self, folder: Path, keys: Keys) -> None:
        self.folder = folder / "repository"
        self.folder.mkdir(parents=True)
        self._home = folder / "home"
        self._programs = folder / "programs"
        self._programs.mkdir()
        found = rsync()
        given = [f"{name}={value}" for name, value in found.environment.items()]
        # GitLab's after_script finds what the script left; this runner would copy the files anew.
        kept = "--filter=protect /build/"
        self._script(self._programs / "rsync", *("env", *given, str(found.path), kept))
        copied(self.folder)
        # Every job copies each file, and those of git.
        for left_out in {*(self.folder / "tests").iterdir()} - {self.folder / "tests" / "image"}:
            shutil.rmtree(left_out)
        (self.folder / ".cache").symlink_to(PROJECT / ".cache")
        matrix = four_cells.apart(REPOSITORY, "a team on GitLab")
        (self.folder / "matrix.yaml").write_text(matrix)
        document = (PROJECT / "docs" / "gitlab.md").read_text()
        example = document.partition("```yaml\n")[2].partition("```")[0]
        (self.folder / ".gitlab-ci.yml").write_text(example)
        # Where the example has it.
        shutil.copy(keys.our_public, self.folder / "cosign.pub")
        python = self.folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        self._script(python, sys.executable)
        (self.folder / ".venv" / ".made-from-requirements").touch()
        # Older than what was made from it, as after `make environment`.
        os.utime(self.folder / "requirements.txt", (0, 0))
        for words in (
            ("init", "--quiet", "--initial-branch=main"),
            ("add", "--all", "--force"),
            *(("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "all"),),
            ("remote", "add", "origin", "https://gitlab.example.org/team/images.git"),
            ("repack", "-a", "-d", "--quiet"),
        ):
            self._git(*words)
        self._give(keys)

    def _give(self, keys: Keys) -> None:
        """The project's secrets, as the document has them set: for one environment alone."""
        variables = {
            "ROCM_IMAGES_SIGNING_KEY": {
                "type": "file",
                "values": {"publish": keys.ours.read_text()},
            },
            "COSIGN_PASSWORD": {
                "type": "variable",
                "values": {"publish": keys.environment["COSIGN_PASSWORD"]},
            },
        }
        path = self._home / ".gitlab-ci-local" / "variables.yml"
        path.parent.mkdir(parents=True)
        path.write_text(yaml.safe_dump({"global": variables}))

    def _git(self, *words: str) -> None:
        subprocess.run(["git", *words], cwd=self.folder, check=True)

    @staticmethod
    def _script(path: Path, *words: str) -> None:
        path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        path.chmod(0o755)

    def run(
        self,
        environment: Mapping[str, str],
        variables: Mapping[str, str],
        *,
        merge_request: bool = False,
    ) -> Ran:
        """Run the pipeline, with variables as a project on GitLab sets them.

        Args:
            environment: of the machine; it has no password of a key.
            variables: the project's.
            merge_request: whether it is one's, and not the default branch's.
        """
        self._git("checkout", "--quiet", *(["-B", "change"] if merge_request else ["main"]))
        source = "merge_request_event" if merge_request else "push"
        asked = {**variables, "CI_PIPELINE_SOURCE": source}
        given = [f"--variable={name}={value}" for name, value in asked.items()]
        around = {**os.environ, **environment}
        not_passed_on = ("MAKE", "MFLAGS", "COSIGN_PASSWORD", "ROCM_IMAGES_")
        artifacts = self.folder / ".gitlab-ci-local" / "artifacts"
        for left in (artifacts, artifacts.with_name("builds")):
            shutil.rmtree(left, ignore_errors=True)
        generated = artifacts / "plan" / "cells.yml"
        done = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("node")), str(PROGRAM)),
                *("--force-shell-executor", "--shell-isolation"),
                *("--home", str(self._home), *given),
            ],
            cwd=self.folder,
            env={
                **{k: v for k, v in around.items() if not k.startswith(not_passed_on)},
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
        assert generated.exists(), text
        return Ran(
            {name: end == "PASS" for end, name in _ENDED.findall(text) if name != "cells"},
            json.loads(generated.read_text()),
            artifacts,
            text,
        )
