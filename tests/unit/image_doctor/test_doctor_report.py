"""The doctor's report, its exit codes, and that it never shows a traceback."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from image_doctor import all_checks
from image_doctor.check import Status
from image_doctor.command_line import main
from made_up_image import MadeUpImage


def doctor(made: MadeUpImage, programs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # The interpreter of this environment has pyelftools; the launcher takes python3 of the PATH.
    import sys

    environment = made.environment | {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    return subprocess.run(
        [str(programs / "image-doctor"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_image_that_fits_passes_every_check_but_pip(made: MadeUpImage) -> None:
    statuses = {check.name: check.status for check in all_checks.run(made.image)}
    assert statuses.pop("pip-check") is Status.NOT_RUN  # the made-up image has no interpreter
    assert set(statuses.values()) == {Status.PASS}
    assert len(statuses) == 17


def test_what_does_not_pass_comes_with_advice(tmp_path: Path) -> None:
    empty = MadeUpImage(tmp_path / "full").image.__class__(tmp_path, {})
    checks = all_checks.run(empty)
    assert {c.status for c in checks} >= {Status.FAIL, Status.NOT_RUN}
    assert [c.name for c in checks if c.status is not Status.PASS and not c.advice] == []


def test_every_found_and_advice_is_a_sentence(made: MadeUpImage) -> None:
    made.describe(rocm="7.2.0")
    made.set_gpus(90500)
    for check in all_checks.run(made.image):
        assert check.found.endswith((".", ".)")), check
        assert not check.advice or check.advice.endswith((".", ".)")), check


def test_a_passing_image_exits_0_and_a_failing_one_1(made: MadeUpImage, programs: Path) -> None:
    assert doctor(made, programs, "--root", str(made.root)).returncode == 0
    made.write("opt/rocm/.info/version", "7.2.0\n")
    done = doctor(made, programs, "--root", str(made.root))
    assert done.returncode == 1
    assert "fail     rocm-release: /opt/rocm/.info/version says 7.2.0" in done.stdout
    assert done.stderr == ""


def test_json_has_every_check_with_name_status_found_and_advice(
    made: MadeUpImage, programs: Path
) -> None:
    made.set_torch(None, "12.8")
    done = doctor(made, programs, "--json", "--root", str(made.root))
    report = json.loads(done.stdout)
    assert (report["schema_version"], report["cell"]) == (1, "sglang-942-rocm7.2.2")
    assert report["exit_code"] == done.returncode == 1
    assert {frozenset(check) for check in report["checks"]} == {
        frozenset({"name", "status", "found", "advice"})
    }
    assert [c["name"] for c in report["checks"] if c["status"] == "fail"] == ["torch"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bake"], "bake"),
        (["--rood"], "--rood"),
        (["--root"], "--root"),
        (["--root", "/proc/absent/at/all"], "/proc/absent/at/all is no folder"),
        (["variable", "--source", "/proc/absent"], "/proc/absent is no file or folder"),
    ],
)
def test_a_bad_argument_is_one_sentence_and_exits_2(
    made: MadeUpImage, programs: Path, arguments: list[str], said: str
) -> None:
    done = doctor(made, programs, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_check_that_breaks_is_a_failed_check(
    made: MadeUpImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(image: object) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setitem(all_checks.ALL, "torch", broken)
    (check,) = [c for c in all_checks.run(made.image) if c.name == "torch"]
    assert check.status is Status.FAIL
    assert "RuntimeError: no luck" in check.found


def test_a_reader_that_leaves_early_is_no_traceback(made: MadeUpImage, programs: Path) -> None:
    words = ["sh", "-c", '"$@" | true', "sh", programs / "image-doctor", "--root", made.root]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""


def test_nothing_of_the_image_is_changed(made: MadeUpImage) -> None:
    before = {path: path.lstat().st_mtime_ns for path in made.root.rglob("*")}
    assert main(["--root", str(made.root)], made.environment) == 0
    assert {path: path.lstat().st_mtime_ns for path in made.root.rglob("*")} == before
