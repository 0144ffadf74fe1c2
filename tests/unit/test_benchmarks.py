"""The benchmarks run, and say truly what they measured."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path

import pytest

from benchmarks import results, scale
from benchmarks.__main__ import main
from benchmarks.measure import CommandFailed, Measurement, measure
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load

MEBIBYTE = 2**20


def runs(*seconds: float) -> list[Measurement]:
    return [Measurement(value, 50 * MEBIBYTE) for value in seconds]


def test_the_smallest_case_of_plan_and_render_runs(tmp_path: Path) -> None:
    said: list[str] = []
    found = scale.plan_and_render(tmp_path, [10], 1, said.append)
    assert len(list((tmp_path / "rendered-10-0").glob("*/Dockerfile"))) == 10
    for verb in ("plan", "render"):
        [measured] = found[verb][10]
        assert measured.seconds > 0.05
        assert measured.peak_bytes > 5 * MEBIBYTE
    assert len(said) == 2


def test_plan_is_measured_beside_the_import_of_its_libraries() -> None:
    found = scale.plan_and_libraries(1, lambda _: None)
    assert {name: len(each) for name, each in found.items()} == {"build.py": 1, scale.LIBRARIES: 1}
    assert all(run.seconds > 0 for each in found.values() for run in each)


def test_a_matrix_has_as_many_cells_as_are_measured(tmp_path: Path) -> None:
    for cells, (archs, bases) in scale.SIZES.items():
        assert archs * bases == cells
    scale.write_matrix(tmp_path / "matrix.yaml", *scale.SIZES[100])
    assert len(cells_of(load(tmp_path / "matrix.yaml"))) == 100


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_the_exponent_is_found_beside_a_constant(power: float) -> None:
    points = {n: 0.3 + 1e-4 * float(n) ** power for n in (1, 100, 1000, 10000)}
    assert scale.exponent(points) == pytest.approx(power, abs=0.01)


def test_noise_of_a_small_size_is_not_taken_for_growth() -> None:
    # Measured: 100 cells took next to nothing more than 10.
    measured = {10: 0.26, 100: 0.27, 1000: 0.69, 10000: 4.68}
    assert scale.exponent(measured) == pytest.approx(1.02)
    assert math.isnan(scale.exponent({10: 0.26, 100: 0.27}))


def test_memory_is_that_of_the_whole_process_tree(tmp_path: Path) -> None:
    # Two children, each of which holds 64 MiB until its standard input ends.
    child = "import sys; x = bytearray(b'x') * (64 << 20); print(flush=True); sys.stdin.read()"
    parent = f"""
import subprocess, sys
pipe = subprocess.PIPE
words = [sys.executable, "-c", {child!r}]
children = [subprocess.Popen(words, stdin=pipe, stdout=pipe) for _ in range(2)]
for child in children: child.stdout.readline()
import time; time.sleep(0.2)
for child in children: child.communicate()
"""
    measured = measure([sys.executable, "-c", parent], tmp_path, os.environ)
    assert 2 * 64 * MEBIBYTE < measured.peak_bytes < 4 * 64 * MEBIBYTE
    assert measured.seconds > 0.2


def test_a_command_that_fails_is_not_a_measurement(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"ended with 3:\nno\n?$"):
        measure([sys.executable, "-c", "print('no'); raise SystemExit(3)"], tmp_path, os.environ)


def test_targets_are_met_or_say_by_how_much_they_are_missed() -> None:
    scenarios = {
        "nothing changed": {
            "build.py": runs(0.6, 0.6, 0.6),
            # A busy minute hits both: the ratio is taken round by round.
            "bake": runs(2.4, 2.4, 24.0),
            "posit-bakery": runs(0.5, 0.5, 0.5),
        },
        scale.PLAN: {"build.py": runs(0.25, 0.5), scale.LIBRARIES: runs(0.05, 0.1)},
    }
    grown = {"render": {n: runs(0.3 + n / 1000) for n in (10, 100, 1000, 10000)}}
    found = {v.target: (v.met, v.missed_by) for v in results.verdicts(scenarios, grown)}
    assert found == {
        "nothing changed: whole process (at most 0.5 s)": (False, "20%"),
        "nothing changed: at most 0.3 times bake": (True, ""),
        "nothing changed: at most 1 times posit-bakery": (False, "20%"),
        f"{scale.PLAN}: at most 4 times {scale.LIBRARIES}": (False, "25%"),
        "render of 10,000 cells (at most 15 s)": (True, ""),
        "render grows linearly: exponent (at most 1.1)": (True, ""),
    }
    page = results.page({"cores": "2"}, scenarios, grown, ["a reason"])
    assert "| nothing changed: whole process (at most 0.5 s) | 0.60 s | missed by 20% |" in page
    assert "| bake | 2.40 | 2.40 | 24.00 | 3 | 52 MB | 0.25 |" in page
    assert "| render | 10,000 | 10.30 | 1 | 52 MB | 1.00 |" in page
    assert "- a reason" in page
    document = results.document({"cores": "2"}, scenarios, grown, ["a reason"])
    assert document["scenarios"]["nothing changed"]["build.py"][0]["seconds"] == 0.6


def test_results_are_written_again_with_a_note_and_nothing_is_measured(tmp_path: Path) -> None:
    scenarios = {"nothing changed": {"build.py": runs(0.6), "bake": runs(1.2)}}
    grown = {"plan": {n: runs(0.3 + n / 1000) for n in (10, 100, 1000)}}
    file = tmp_path / "2026-01-01.json"
    file.write_text(json.dumps(results.document({"cores": "2"}, scenarios, grown, ["old"])))
    assert main(["--again", str(file), "--note", "new"]) == 0
    assert json.loads(file.read_text()) == results.document(
        {"cores": "2"}, scenarios, grown, ["new"]
    )
    expected = results.page({"cores": "2"}, scenarios, grown, ["new"])
    assert file.with_suffix(".md").read_text() == expected


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"about": {}, "scenarios": 1, "scale": {}}'])
def test_a_file_of_something_else_is_refused_and_left(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.json"
    file.write_text(text)
    assert main(["--again", str(file)]) == 1
    assert "is no file of results" in capsys.readouterr().err
    assert file.read_text() == text
    assert main(["--again", str(tmp_path / "none.json")]) == 1
