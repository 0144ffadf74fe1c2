"""The self-test runs what there is to run, and claims no more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from image_selftest import command_line, tiers
from image_selftest.contents import contents_digest
from image_selftest.document import level_of
from image_selftest.tiers import Tier
from made_up_tiers import DOCTOR, LAUNCHER, NO_RACE, NO_SERVE, probe_found, serve_found, tiers_at
from rocm_images.smoke import evidence


@pytest.mark.parametrize("level", ["static", "stand-in", "gpu", "serve"])
def test_the_image_claims_the_level_that_the_verification_computes(level: str) -> None:
    assert level_of(tiers_at(level)) == level


def test_a_server_that_failed_leaves_the_level_of_the_probe() -> None:
    failed = Tier("serve", "failed", "", 1.0, 40, {**serve_found(), "exit_code": 40})
    assert level_of([*tiers_at("gpu")[:2], failed]) == "gpu"


def test_without_a_gpu_the_tiers_say_so(tmp_path: Path) -> None:
    output = tmp_path / "evidence.json"
    done = subprocess.run(
        [LAUNCHER / "image-selftest", "--output", output], capture_output=True, text=True
    )
    document = json.loads(output.read_text())
    assert [tier["name"] for tier in document["tiers"]] == ["doctor", "probe", "serve", "race"]
    assert [tier["sentence"] for tier in document["tiers"][1:]] == ["not run: no GPU"] * 3
    assert document["level"] == "static"
    # A checkout is no image, which the doctor says.
    assert (done.returncode, document["passed"]) == (1, False)
    assert document["seal"] == evidence.seal_of(document)
    assert [path.name for path in tmp_path.iterdir()] == ["evidence.json"]


def test_emulated_gpus_are_a_level_of_their_own_below_a_gpu() -> None:
    def level(probe: dict[str, Any], serve: str = "not-run") -> str:
        return level_of([Tier("probe", "passed", "", 1.0, 0, probe), Tier("serve", serve, "")])

    assert level(probe_found(stand_in=False, emulated=True)) == "emulated"
    # No server can have passed there; a document that says so is not believed.
    assert level(probe_found(stand_in=False, emulated=True), "passed") == "emulated"
    assert level(probe_found(stand_in=True, emulated=True)) == "stand-in"


@pytest.mark.parametrize(
    "probed", [probe_found(stand_in=True), probe_found(stand_in=False, emulated=True)]
)
def test_a_stand_in_and_emulated_gpus_are_no_gpu_to_serve_on(
    monkeypatch: pytest.MonkeyPatch, probed: dict[str, Any]
) -> None:
    def run(name: str, words: Sequence[str], running: object) -> Tier:
        assert "serve" not in words
        found = probed if name == "probe" else DOCTOR.found
        return Tier(name, "passed", "", 1.0, 0, found)

    monkeypatch.setattr(tiers, "_run", run)
    found = tiers.run_tiers((), lambda tier: None, lambda process: None)
    assert [asdict(tier) for tier in found[2:]] == [asdict(NO_SERVE), asdict(NO_RACE)]


@pytest.mark.parametrize(
    ("code", "race", "sentence"),
    [(0, "passed", ""), (40, "not-run", "the serve tier failed"), (20, "not-run", "no GPU")],
)
@pytest.mark.parametrize("given", [(), ("--fresh", "2"), ("--fresh=2",)])
def test_the_race_is_run_with_the_same_arguments_where_servers_work(
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    race: str,
    sentence: str,
    given: tuple[str, ...],
) -> None:
    started: list[Sequence[str]] = []

    def run(name: str, words: Sequence[str], running: object) -> Tier:
        started.append(words)
        found = {"probe": probe_found(stand_in=False), "doctor": DOCTOR.found}.get(name, {})
        status = "failed" if name == "serve" and code else "passed"
        return Tier(name, status, "", 1.0, code if name == "serve" else 0, found)

    monkeypatch.setattr(tiers, "_run", run)
    own = (*given, "--tp", "2")
    found = tiers.run_tiers((*own, "--", "--fresh", "9"), lambda tier: None, lambda process: None)
    assert (found[3].name, found[3].status) == ("race", race)
    assert sentence in found[3].sentence
    servers = [list(words) for words in started if "serve" in words]
    # The last one counts; what comes behind -- is the server's.
    begin, server = ["graph_probe", "serve", "--json"], ["--", "--fresh", "9"]
    assert servers[0] == [*begin, "--fresh", "5", *own, *server]
    race_words = [*begin, "--race", *own, "--fresh", "1", *server]
    assert servers[1:] == ([race_words] if code == 0 else [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--output FILE is needed"),
        (["--output", "-", "--image-id", "latest"], "'latest' is not sha256: and 64 digits"),
        (["--output", "/proc/absent/file"], "No such file or directory"),
        (["--noise"], "--noise"),
        (["--output", "-", "--", "--tp", "1", "--race"], "--race is none of a self-test's"),
        (["--output", "-", "--", "--provoke", "all"], "--provoke is none of a self-test's"),
    ],
)
def test_a_bad_argument_is_a_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_signal_ends_it_and_what_it_started(tmp_path: Path) -> None:
    # A doctor that says that it runs, and then waits.
    packages = tmp_path / "packages"
    for name in ("image_selftest", "image_facts", "image_servers", "graph_probe"):
        (packages / name).parent.mkdir(exist_ok=True)
        (packages / name).symlink_to(LAUNCHER.parents[2] / "opt" / "rocm-images" / name)
    doctor = packages / "image_doctor"
    doctor.mkdir()
    pid = tmp_path / "pid"
    (doctor / "__init__.py").touch()
    (doctor / "__main__.py").write_text(
        "import os, pathlib, threading\n"
        f"pathlib.Path({str(pid)!r}).write_text(f'{{os.getpid()}} ')\n"
        "threading.Event().wait()\n"
    )
    program = (
        "import pathlib, sys\n"
        "from image_selftest import tiers, command_line\n"
        f"tiers.PACKAGES = pathlib.Path({str(packages)!r})\n"
        "sys.exit(command_line.main(sys.argv[1:]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "--output", str(tmp_path / "evidence.json")],
        env={**os.environ, "PYTHONPATH": str(packages)},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (pid.exists() and pid.read_text().endswith(" ")):
        assert process.poll() is None
        os.sched_yield()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "ended by a signal" in errors
    assert not Path("/proc", pid.read_text().strip()).exists()


def test_the_contents_of_an_image_have_one_digest_and_every_change_has_another(
    tmp_path: Path,
) -> None:
    record = tmp_path / "opt/venv/lib/python3.10/site-packages/torch-2.dist-info/RECORD"
    for path in (record, tmp_path / "opt/rocm-images/image.json", tmp_path / "var/lib/dpkg/status"):
        path.parent.mkdir(parents=True)
        path.write_text("as built")
    built = contents_digest(tmp_path)
    cache = tmp_path / "opt/rocm-images/__pycache__/a.pyc"
    cache.parent.mkdir()
    cache.write_text("written by a run")
    assert contents_digest(tmp_path) == built
    record.write_text("another torch")
    changed = contents_digest(tmp_path)
    record.rename(record.with_name("OTHER"))
    assert len({built, changed, contents_digest(tmp_path)}) == 3


@pytest.mark.parametrize(
    "printed",
    [
        '{"checks": 5}',
        '{"checks": [1, {"name": 2}]}',
        '{"runtime": [], "devices": 1}',
        "[" * 100_000,
        '{"a": "\\ud800"}',
        "\xff",
    ],
)
def test_a_program_that_prints_something_else_is_a_tier_that_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str
) -> None:
    (tmp_path / "image_doctor.py").write_text(f"print({printed!r})")
    (tmp_path / "graph_probe.py").write_text(f"print({printed!r})")
    monkeypatch.setattr(tiers, "PACKAGES", tmp_path)
    found = tiers.run_tiers([], lambda tier: None, lambda process: None)
    assert [tier.name for tier in found] == ["doctor", "probe", "serve", "race"]
    assert all(tier.sentence for tier in found)
    assert level_of(found) in ("static", "stand-in")


def test_a_name_that_is_no_text_is_a_part_of_the_contents(tmp_path: Path) -> None:
    folder = tmp_path / "usr" / "local" / "bin"
    folder.mkdir(parents=True)
    before = contents_digest(tmp_path)
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).touch()
    assert contents_digest(tmp_path) != before
