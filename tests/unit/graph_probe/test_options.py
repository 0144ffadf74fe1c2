"""The command line's arguments."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from graph_probe.device import version_text
from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.image import expected_gfx, known_facts
from graph_probe.options import parse
from graph_probe.sabotage import Sabotage
from image_facts.description import CaptureBug
from image_facts.hip_builds import HipBuild
from rocm_images.matrix.schema import Matrix
from rocm_images.recipe.facts import hip_facts
from rocm_images.smoke.any_image import FACTS_VARIABLE


def test_a_run_with_no_arguments_takes_every_device_and_four_batch_sizes() -> None:
    options = parse(["run"])
    assert (options.devices, options.batches, options.steps) == (None, (1, 2, 4, 8), 64)


def test_batch_sizes_are_any_numbers_and_none_twice() -> None:
    assert parse(["decode", "--batch", "3", "5", "3"]).batches == (3, 5)


def test_every_sabotage_is_an_argument() -> None:
    for kind in Sabotage:
        fresh = ["decode", "--fresh", "2"] if kind is Sabotage.WRONG_FRESH else ["run"]
        assert parse([*fresh, "--sabotage", kind.value]).sabotage is kind


@pytest.mark.parametrize(
    "arguments",
    [["decode", "--sabotage", "wrong-replay"], ["replay", "--sabotage", "wrong-token"]],
)
def test_a_sabotage_of_what_the_command_does_not_do_is_refused(arguments: list[str]) -> None:
    with pytest.raises(ProbeError, match="breaks what only another command") as caught:
        parse(arguments)
    assert caught.value.code is ExitCode.BAD_ARGUMENTS


def test_replays_are_a_command_of_their_own_and_a_part_of_run() -> None:
    found = {name: parse([name]).replays for name in ("capture", "decode", "replay", "run")}
    assert found == {"capture": False, "decode": False, "replay": True, "run": True}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["bake"], "bake"),
        (["run", "--steps", "0"], "0 is not a number from 1 to 4096"),
        (["run", "--batch", "x"], "x is not a number from 1 to 256"),
        (["run", "--devices", "65"], "65 is not a number from 1 to 64"),
        (["run", "--timeout", "-1"], "-1 is no number of seconds above 0"),
        (["run", "--timeout", "nan"], "nan is no number of seconds above 0"),
        (["run", "--sabotage", "luck"], "luck is none of global-watchdog"),
        (["capture", "--watchdog"], "--watchdog"),
        (["run", "--backend", "metal"], "metal"),
    ],
)
def test_a_bad_argument_is_a_sentence_that_quotes_it(arguments: list[str], said: str) -> None:
    with pytest.raises(ProbeError) as caught:
        parse(arguments)
    assert caught.value.code is ExitCode.BAD_ARGUMENTS
    assert said in caught.value.sentence
    assert caught.value.sentence.endswith("--help.")


@pytest.mark.parametrize(
    ("arguments", "done"),
    [
        (["run"], (True, True, True)),
        (["run", "--only", "capture"], (True, False, False)),
        (["run", "--only", "decode", "replay"], (False, True, True)),
        (["replay"], (False, True, False)),
    ],
)
def test_only_leaves_parts_of_run_out(arguments: list[str], done: tuple[bool, bool, bool]) -> None:
    options = parse(arguments)
    assert (options.captures, options.replays, options.decodes) == done


def test_the_launcher_of_a_checkout_exits_2_with_one_line_and_no_traceback(launcher: str) -> None:
    ended = subprocess.run([launcher, "bake"], capture_output=True, text=True, timeout=30)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "Traceback" not in ended.stderr


def test_a_bad_argument_with_json_is_one_object_on_standard_output(launcher: str) -> None:
    command = [launcher, "run", "--json", "--steps", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    result = json.loads(ended.stdout)
    assert ended.returncode == result["exit_code"] == 2
    assert result["runtime"] is None


def test_help_lists_every_exit_code(launcher: str) -> None:
    shown = subprocess.run([launcher, "--help"], capture_output=True, text=True, timeout=30).stdout
    for code in ExitCode:
        assert f"{int(code):5d}  " in shown


def test_the_gfx_of_the_arguments_wins_over_the_images(image_json: dict[str, str]) -> None:
    assert expected_gfx("gfx950", image_json) == "gfx950"
    assert expected_gfx(None, image_json) == "gfx942"


def test_without_an_image_description_no_gfx_is_expected() -> None:
    assert expected_gfx(None, {"GRAPH_PROBE_IMAGE_JSON": "/proc/absent/image.json"}) is None


@pytest.mark.parametrize("text", [None, "{", "{}", '{"gfx": "gfx942", "rocm": "7.2.0"}'])
def test_an_image_that_knows_nothing_of_hip_is_given_what_the_matrix_knows(
    text: str | None, image_json: dict[str, str], project_matrix: Matrix
) -> None:
    path = Path(image_json["GRAPH_PROBE_IMAGE_JSON"])
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert known_facts(image_json).hip_builds == ()
    given = {**image_json, FACTS_VARIABLE: json.dumps(hip_facts(project_matrix, None))}
    facts = known_facts(given)
    assert version_text("hip", 70253211, facts.hip_builds).endswith("ROCm 7.2.1 to 7.2.4")
    assert facts.capture_bug == CaptureBug(False, "7.2.1", "sgl-project/sglang#23581")
    assert known_facts({**image_json, FACTS_VARIABLE: "{"}).hip_builds == ()


def test_what_the_image_knows_of_hip_is_not_replaced(image_json: dict[str, str]) -> None:
    own = {"hip_builds": [{"hip": "7.2.1000", "first": "7.2.0", "last": "7.2.0"}]}
    Path(image_json["GRAPH_PROBE_IMAGE_JSON"]).write_text(json.dumps(own))
    given = known_facts({**image_json, FACTS_VARIABLE: '{"hip_builds": []}'}).hip_builds
    assert given == (HipBuild.of("7.2.1000", "7.2.0", "7.2.0"),)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"gfx": 942}', '{"gfx": "mi300x"}'])
def test_an_image_description_without_a_usable_gfx_is_refused(
    text: str, image_json: dict[str, str]
) -> None:
    Path(image_json["GRAPH_PROBE_IMAGE_JSON"]).write_text(text)
    with pytest.raises(ProbeError, match=r"image\.json") as caught:
        expected_gfx(None, image_json)
    assert caught.value.code is ExitCode.BAD_ARGUMENTS


@pytest.mark.parametrize(
    ("arguments", "graph_steps", "fresh"),
    [
        ([], 1, 1),
        (["--fresh", "5"], 16, 5),
        (["--fresh", "2", "--graph-steps", "4"], 4, 2),
        (["--graph-steps", "32"], 32, 1),
    ],
)
def test_graphs_of_fresh_processes_are_long(
    arguments: list[str], graph_steps: int, fresh: int
) -> None:
    options = parse(["decode", *arguments])
    assert (options.graph_steps, options.fresh) == (graph_steps, fresh)
    assert parse(["run"]).fresh == parse(["capture"]).graph_steps == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--steps", "20", "--fresh", "2"], "no multiple of the 16 steps"),
        (["--sabotage", "wrong-fresh"], "is one of `decode --fresh N`"),
        (["--fresh", "0"], "from 1 to 100"),
    ],
)
def test_what_fresh_processes_cannot_do_is_a_sentence(arguments: list[str], sentence: str) -> None:
    with pytest.raises(ProbeError, match=sentence) as caught:
        parse(["decode", *arguments])
    assert caught.value.code is ExitCode.BAD_ARGUMENTS
