"""The self-test runs what there is to run, claims no more, and its file verifies."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from image_selftest import command_line, tiers
from image_selftest.contents import contents_digest
from image_selftest.document import document_of, level_of, seal_of, sealed
from image_selftest.tiers import Tier
from rocm_images.cli.main import main
from rocm_images.errors import EvidenceInvalid, InputError
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.smoke import evidence
from rocm_images.smoke.selftest import Selftest
from rocm_images.smoke.verification import verify

LAUNCHER = Path(__file__).parents[3] / "images" / "rootfs" / "usr" / "local" / "bin"
IMAGE_ID = "sha256:" + "ab" * 32
DATE = "2026-11-24T01:00:00+00:00"


def description(cell: Cell) -> dict[str, Any]:
    return {"cell": cell.name, "gfx": cell.gfx, "rocm": cell.rocm}


def probe_found(*, stand_in: bool, emulated: bool = False) -> dict[str, Any]:
    emulator = {"emulator": {"path": "/e", "sha256": "ab", "version": "1"}} if emulated else {}
    return {
        "exit_code": 0,
        "runtime": {"is_stand_in": stand_in, **emulator},
        "devices": [{"name": "a GPU", "gfx": "gfx942"}, {"name": "a GPU", "gfx": "gfx942"}],
    }


def serve_found() -> dict[str, Any]:
    server = {"loads": [{"tokens_per_second": 34.9}], "greedy": [[1, 2]]}
    size = {
        "passed": True,
        "checks": [{"name": "ready", "passed": True}],
        "graph": server,
        "eager": copy.deepcopy(server),
    }
    return {
        "exit_code": 0,
        "runtime": {"is_stand_in": False},
        "devices": probe_found(stand_in=False)["devices"],
        "versions": {"sglang": "0.5.21"},
        "sizes": [{"tensor_parallel": 1, **size}, {"tensor_parallel": 2, **copy.deepcopy(size)}],
    }


def race_found() -> dict[str, Any]:
    race = {
        "passed": True,
        "checks": [{"name": "held-open", "passed": True}],
        "captures": 5,
        "watchdog_periods": 100,
    }
    return {
        "exit_code": 0,
        "devices": probe_found(stand_in=False)["devices"],
        "races": [{"tensor_parallel": 1, **race}, {"tensor_parallel": 2, **copy.deepcopy(race)}],
    }


DOCTOR = Tier("doctor", "passed", "", 1.0, 0, {"checks": [{"name": "torch", "status": "pass"}]})
NO_PROBE = Tier("probe", "not-run", "not run: no GPU", 1.0, 20, {"exit_code": 20, "devices": []})
NO_SERVE = Tier("serve", "not-run", "not run: no GPU")
NO_RACE = Tier("race", "not-run", "not run: no GPU")


def tiers_at(level: str) -> list[Tier]:
    if level == "static":
        return [DOCTOR, NO_PROBE, NO_SERVE, NO_RACE]
    probe = Tier("probe", "passed", "", 1.0, 0, probe_found(stand_in=level == "stand-in"))
    if level != "serve":
        return [DOCTOR, probe, NO_SERVE, NO_RACE]
    serve = Tier("serve", "passed", "", 1.0, 0, serve_found())
    return [DOCTOR, probe, serve, Tier("race", "passed", "", 1.0, 0, race_found())]


Make = Callable[..., Path]


@pytest.fixture
def cells(small_matrix: Matrix) -> tuple[Cell, ...]:
    return cells_of(small_matrix)


@pytest.fixture
def written(tmp_path: Path, cells: Sequence[Cell]) -> Make:
    """Writes the file of a self-test, changed by a function, with a seal that fits."""

    def write(level: str = "serve", change: Callable[[Any], object] = lambda d: None) -> Path:
        image = {"id": IMAGE_ID, "contents": IMAGE_ID, "description": description(cells[0])}
        document = json.loads(json.dumps(document_of(image, tiers_at(level), DATE, 10.0)))
        change(document)
        path = tmp_path / "evidence.json"
        path.write_text(json.dumps(sealed(document)))
        return path

    return write


@pytest.mark.parametrize("level", ["static", "stand-in", "gpu", "serve"])
def test_a_file_of_every_level_verifies(written: Make, cells: Sequence[Cell], level: str) -> None:
    found = verify(written(level), cells)
    assert isinstance(found, Selftest)
    assert (found.level, found.passed) == (level, True)


def test_the_seal_is_the_one_that_the_image_computes() -> None:
    document = {"b": [1.5, None, "ü"], "a": {"y": True, "x": -0.0}}
    assert evidence.seal_of(document) == seal_of(document)
    assert evidence.seal_of({**document, "seal": "x"}) == seal_of(document)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"passed": true', '"passed": false'),
        ("34.9", "349.0"),
        ("gfx942", "gfx950"),
        ('"level": "serve"', '"level": "gpu"'),
        ("2026-11-24", "2026-11-25"),
        (IMAGE_ID, "sha256:" + "cd" * 32),
        ('"seal"', '"sail"'),
    ],
)
def test_a_tampered_file_does_not_verify(
    written: Make, cells: Sequence[Cell], old: str, new: str
) -> None:
    path = written()
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(EvidenceInvalid, match="changed after the test"):
        verify(path, cells)


def change_level(document: Any) -> None:
    document["level"] = "serve"


def change_sizes(document: Any) -> None:
    document["tiers"][2]["found"]["sizes"][1]["tensor_parallel"] = 8


def change_check(document: Any) -> None:
    document["tiers"][2]["found"]["sizes"][0]["checks"][0]["passed"] = False


def change_status(document: Any) -> None:
    document["tiers"][1]["exit_code"] = 15


def change_inner_code(document: Any) -> None:
    document["tiers"][1]["found"]["exit_code"] = 15


def change_gfx(document: Any) -> None:
    document["image"]["description"]["gfx"] = "gfx950"


def change_cell(document: Any) -> None:
    document["image"]["description"]["cell"] = "sglang-942-rocm9.9.9"


def change_devices(document: Any) -> None:
    document["tiers"][2]["found"]["devices"] = []


def change_race_devices(document: Any) -> None:
    document["tiers"][3]["found"]["devices"].pop()


def change_race_check(document: Any) -> None:
    document["tiers"][3]["found"]["races"][0]["checks"][0]["passed"] = False


def change_race_sizes(document: Any) -> None:
    document["tiers"][3]["found"]["races"] = []


def change_race_held(document: Any) -> None:
    document["tiers"][3]["found"]["races"][1]["captures"] = 0


def change_race_alone(document: Any) -> None:
    document["tiers"][2] = asdict(NO_SERVE)


def change_no_race(document: Any) -> None:
    del document["tiers"][3]


def change_date(document: Any) -> None:
    document["date"] = "2999-01-01T00:00:00+00:00"


def change_no_date(document: Any) -> None:
    document["date"] = "yesterday"


def change_tiers(document: Any) -> None:
    del document["tiers"][2]


def change_passed(document: Any) -> None:
    document["passed"] = False


def change_doctor(document: Any) -> None:
    document["tiers"][0]["found"]["checks"][0]["status"] = "fail"


def change_image(document: Any) -> None:
    document["image"]["description"] = None


def change_stand_in(document: Any) -> None:
    document["tiers"][1]["found"]["runtime"]["is_stand_in"] = True


def change_extra(document: Any) -> None:
    document["remark"] = "ran fine"


def change_type(document: Any) -> None:
    document["tiers"][2]["found"]["sizes"] = [1, 2]


def change_id(document: Any) -> None:
    document["image"]["id"] = "latest"


@pytest.mark.parametrize(
    ("level", "change", "said"),
    [
        ("gpu", change_level, "claims the level serve, and what ran amounts to gpu"),
        ("stand-in", change_level, "claims the level serve, and what ran amounts to stand-in"),
        ("static", change_level, "claims the level serve, and what ran amounts to static"),
        ("serve", change_stand_in, "amounts to stand-in"),
        ("serve", change_sizes, "tier serve ran on 8 GPUs, of 2"),
        ("serve", change_check, "TP 1 of tier serve says passed: True"),
        ("serve", change_race_devices, "the servers of tier race ran on other devices"),
        ("serve", change_race_check, "TP 1 of tier race says passed: True"),
        ("serve", change_race_sizes, "the race ended with 0, and not every size passed"),
        ("serve", change_race_held, "the race at TP 2 passed, and held no capture open"),
        ("serve", change_race_alone, "the race ran, and the serve tier"),
        ("serve", change_no_race, "the test did not finish"),
        ("serve", change_status, "tier probe is passed with exit code 15"),
        ("serve", change_inner_code, "ended with 0, and its result says 15"),
        ("serve", change_gfx, "sglang-942-rocm7.2.0 is another one"),
        ("serve", change_cell, "which this matrix does not have"),
        ("serve", change_devices, "ran on other devices"),
        ("serve", change_date, "is in the future"),
        ("serve", change_no_date, "'yesterday', is none"),
        ("serve", change_tiers, "the test did not finish"),
        ("serve", change_passed, "its tiers say otherwise"),
        ("serve", change_doctor, "tier doctor passed, and torch did not"),
        ("serve", change_image, "does not say which image"),
        ("serve", change_extra, "remark"),
        ("serve", change_type, "not what their programs print"),
        ("serve", change_id, "image.id"),
    ],
)
def test_a_file_that_contradicts_itself_does_not_verify_whatever_its_seal(
    written: Make,
    cells: Sequence[Cell],
    level: str,
    change: Callable[[Any], object],
    said: str,
) -> None:
    with pytest.raises(EvidenceInvalid, match=said):
        verify(written(level, change), cells)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b'{"seal": 1}', b"null"])
def test_what_is_no_evidence_is_a_sentence(
    tmp_path: Path, cells: Sequence[Cell], content: bytes
) -> None:
    path = tmp_path / "evidence.json"
    path.write_bytes(content)
    with pytest.raises(EvidenceInvalid, match=r"evidence\.json"):
        verify(path, cells)


def test_a_file_that_is_not_there_is_bad_input(tmp_path: Path, cells: Sequence[Cell]) -> None:
    with pytest.raises(InputError, match="No such file"):
        verify(tmp_path / "none.json", cells)


def test_the_verb_tells_what_a_file_claims_and_of_which_image(written: Make) -> None:
    # Cells of the project's matrix have the names of the small one's.
    done = CliRunner().invoke(main, ["evidence", "verify", str(written())])
    assert done.exit_code == 0, done.output
    assert "sglang-942-rocm7.2.0: passed at level serve" in done.output
    assert IMAGE_ID in done.output


def test_a_tampered_file_has_an_exit_code_of_its_own(written: Make) -> None:
    path = written()
    path.write_text(path.read_text().replace("34.9", "99.9"))
    program = Path(__file__).parents[3] / "build.py"
    done = subprocess.run(
        [sys.executable, program, "evidence", "verify", path], capture_output=True, text=True
    )
    assert done.returncode == 11
    assert "changed after the test" in done.stderr
    assert "Traceback" not in done.stderr


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
@pytest.mark.parametrize(("given", "fresh"), [((), "5"), (("--fresh", "2"), "2")])
def test_the_race_is_run_with_the_same_arguments_where_servers_work(
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    race: str,
    sentence: str,
    given: tuple[str, ...],
    fresh: str,
) -> None:
    started: list[Sequence[str]] = []

    def run(name: str, words: Sequence[str], running: object) -> Tier:
        started.append(words)
        found = {"probe": probe_found(stand_in=False), "doctor": DOCTOR.found}.get(name, {})
        status = "failed" if name == "serve" and code else "passed"
        return Tier(name, status, "", 1.0, code if name == "serve" else 0, found)

    monkeypatch.setattr(tiers, "_run", run)
    found = tiers.run_tiers((*given, "--tp", "2"), lambda tier: None, lambda process: None)
    assert (found[3].name, found[3].status) == ("race", race)
    assert sentence in found[3].sentence
    servers = [list(words) for words in started if "serve" in words]
    assert servers[0] == ["graph_probe", "serve", "--json", "--fresh", fresh, "--tp", "2"]
    assert servers[1:] == (
        [["graph_probe", "serve", "--json", "--race", "--tp", "2"]] if code == 0 else []
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--output FILE is needed"),
        (["--output", "-", "--image-id", "latest"], "'latest' is not sha256: and 64 digits"),
        (["--output", "/nonexistent/folder/file"], "No such file or directory"),
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
    for name in ("image_selftest", "image_facts", "graph_probe"):
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
