"""A step of a workflow is one command that can be run at a desk, which the program understands."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest

from rocm_images.cli.main import main
from workflow_files import COMMANDS, JOBS, steps

# What a job asks before its checkout; a condition of GitHub's would not tell Main from main.
REF = '[[ "$GITHUB_REF" =~ ^refs/(heads/main|tags/v[^/]+)$ ]]'
# One program, its arguments, nothing that a shell would act on but variables.
PROGRAM = r'(?:\.venv/bin/python build\.py|"\$PROGRAM/\.venv/bin/rocm-images")'
COMMAND = re.compile(rf'(sudo )?(make (--directory "\$PROGRAM" )?[a-z -]+|{PROGRAM} [^|;&<>`(]+)')
OURS = [c for c in COMMANDS if re.match(PROGRAM, c)]
"""Those of the program itself."""


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_each_step_is_one_command_that_can_be_run_at_a_desk(name: str, job: dict[str, Any]) -> None:
    for step in steps(job):
        assert ("run" in step) != ("uses" in step)
        assert step.get("run") == REF or COMMAND.fullmatch(step.get("run", "make lint")), step[
            "run"
        ]
        # Nor is an expression written into a command: its value could be one.
        assert "${{" not in step.get("run", "")


def test_no_command_that_chooses_cells_leaves_a_server_out() -> None:
    chose = []
    for command in OURS:
        words = re.sub(rf"^{PROGRAM} ", "", command).split()
        verb = "build" if words[0].startswith("-") else words[0]
        if any(option.name == "servers" for option in main.commands[verb].params):
            chose.append(verb)
            if verb == "catalogue" and "--from" in words:
                continue  # of a list that is there
            assert words[words.index("--server") + 1] in ("all", '"$SERVER"'), command
    assert {*chose} >= {"build", "ci-matrix", "publish", "push"}


@pytest.mark.parametrize("command", sorted({*OURS}))
def test_each_command_of_the_program_is_understood(command: str) -> None:
    arguments = shlex.split(re.sub(rf"^{PROGRAM} ", "", command))
    name = arguments[0] if not arguments[0].startswith("-") else "build"
    main.commands[name].make_context(name, arguments[1:] if name in arguments else arguments)


def test_a_machine_whose_steps_are_all_in_the_cache_waits_for_no_units() -> None:
    cached = [command for command in COMMANDS if "--cache " in command]
    # Who signs leaves something there: the job that builds.
    assert {("--keyless" in command, "--no-units" in command) for command in cached} == {
        (True, False),
        (False, True),
    }
