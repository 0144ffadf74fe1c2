"""What is called by several names means the same in every verb, typed or in a variable."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from invoked import options, run
from rocm_images.cli.group import GONE
from rocm_images.cli.main import main
from rocm_images.errors import InputError, closest
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.selection import arch_of

PROJECT = Path(__file__).resolve().parents[3]
PLAN = ("plan", "--json")


def cells(*words: str, **variables: str) -> list[str]:
    done = run(*PLAN, *words, **variables)
    assert done.exit_code == 0, done.exception
    return [cell["cell"] for cell in json.loads(done.stdout)]


@pytest.mark.parametrize(
    "typed",
    ["942", "gfx942", "GFX942", "mi30x", "mi300x", "MI300X", "MI325X", "AMD Instinct MI300X"],
)
def test_an_arch_is_named_by_its_key_gfx_family_or_gpu(typed: str, project_matrix: Matrix) -> None:
    assert arch_of(typed, project_matrix) == "942"
    named = cells("--base", "7.2.0", "--arch", typed)
    assert named == ["sglang-942-rocm7.2.0"]


@pytest.mark.parametrize("typed", ["", "94", "x", "MI300", "AMD", "Instinct"])
def test_what_names_no_arch_is_refused_as_it_was_typed(typed: str, project_matrix: Matrix) -> None:
    assert arch_of(typed, project_matrix) == typed
    done = run(*PLAN, "--arch", typed)
    assert isinstance(done.exception, InputError)
    assert repr(typed) in str(done.exception)


def test_a_gpu_that_two_archs_have_names_neither(matrix_file: Callable[..., Path]) -> None:
    from rocm_images.plan.load import load

    matrix = load(matrix_file(("[AMD Instinct MI350X]", "[AMD Instinct MI300X]")))
    assert arch_of("MI300X", matrix) == "MI300X"
    assert arch_of("mi35x", matrix) == "950"


def test_a_base_has_two_options_that_are_one_in_every_verb() -> None:
    named = [option for _, option in options() if {"--base", "--rocm"} & {*option.opts}]
    assert len(named) > 8
    assert all({"--base", "--rocm"} <= {*option.opts} for option in named)
    assert cells("--rocm", "7.2.2", "--arch", "950") == cells("--base", "7.2.2", "--arch", "950")


def test_one_option_has_one_variable_in_every_verb_and_the_help_shows_it() -> None:
    variables: dict[str, set[str]] = {}
    for verb, option in options():
        if option.envvar:
            assert option.show_envvar, (verb, option.name)
            variables.setdefault(str(option.envvar), set()).add(option.opts[0])
            assert str(option.envvar) in str(option.get_help_record(click.Context(main)))
    assert {len(names) for names in variables.values()} == {1}
    assert {"ROCM_IMAGES_ARCH", "ROCM_IMAGES_JOBS", "ROCM_IMAGES_SIGNING_KEY"} <= {*variables}


def test_an_option_of_the_same_name_has_its_variable_wherever_it_is() -> None:
    with_variable = {name for _, option in options() if option.envvar for name in option.opts}
    bare = [
        (verb, name)
        for verb, option in options()
        for name in option.opts
        if name in with_variable and not option.envvar
    ]
    assert bare == []


def test_a_variable_stands_for_what_is_not_typed() -> None:
    chosen = cells(ROCM_IMAGES_ARCH="mi35x", ROCM_IMAGES_BASE="7.2.0 7.2.2")
    assert chosen == ["sglang-950-rocm7.2.0", "sglang-950-rocm7.2.2"]
    assert cells("--arch", "942", ROCM_IMAGES_ARCH="950", ROCM_IMAGES_BASE="7.2.0") == [
        "sglang-942-rocm7.2.0"
    ]


@pytest.mark.parametrize(
    ("words", "variables", "typed"),
    [
        (("smoke", "--image", "a:b"), {"ROCM_IMAGES_ARCH": "942"}, ("--arch", "942")),
        (("pick", "--auto"), {"ROCM_IMAGES_ARCH": "942"}, ("--arch", "942")),
        (("build", "--no-cache"), {"ROCM_IMAGES_CACHE": "r.example/c"}, ("--cache", "r.example/c")),
        (
            ("publish", "--from", "none.tar", "--key", "cosign.pub"),
            {"ROCM_IMAGES_COMPRESSION": "gzip", "ROCM_IMAGES_SIGNING_KEY": "cosign.key"},
            ("--compression", "gzip"),
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_contradicts_when_typed_is_of_other_verbs_in_a_variable(
    words: tuple[str, ...],
    variables: dict[str, str],
    typed: tuple[str, str],
    no_engine: None,
) -> None:
    refused = str(run(*words, *typed).exception)
    assert typed[0] in refused
    assert str(run(*words, **variables).exception) != refused


def test_the_names_that_begin_so_are_told_before_one_that_looks_alike() -> None:
    known = ["7.2.0", "7.2.2", "7.2.4", "10.0.0"]
    assert closest("7.2", known) == "did you mean '7.2.0', '7.2.2' or '7.2.4'?"
    assert closest("10", known) == "did you mean '10.0.0'?"
    assert closest("7.2.3", known).startswith("did you mean '7.2.")
    assert closest("x", known) == "known: 10.0.0, 7.2.0, 7.2.2, 7.2.4"


def test_what_took_the_place_of_a_verb_that_is_gone_is_a_verb() -> None:
    assert not GONE.keys() & main.commands.keys()
    assert set(GONE.values()) <= main.commands.keys()


def test_explain_without_a_cell_says_which_there_are() -> None:
    said = str(run("explain").exception)
    assert "sglang-942-rocm7.2.0" in said
    assert "vllm-950-rocm10.0.0" in said


def test_explain_takes_a_cell_by_any_name_of_its_arch_or_by_its_parts() -> None:
    whole = run("explain", "sglang-942-rocm7.2.0").stdout
    assert whole.startswith("sglang-942-rocm7.2.0: ")
    assert run("explain", "sglang-mi300x-rocm7.2.0").stdout == whole
    assert run("explain", "--arch", "MI300X", "--base", "7.2.0").stdout == whole
    said = str(run("explain", "--arch", "MI300X").exception)
    assert said.endswith(
        ": sglang-942-rocm7.2.0, sglang-942-rocm7.2.2, sglang-942-rocm7.2.4, sglang-942-rocm10.0.0"
    )
    both = str(run("explain", "sglang-942-rocm7.2.0", "--arch", "950").exception)
    assert both == "--arch: CELL names one cell already: leave out either"


def test_a_build_argument_that_nothing_uses_is_refused_before_an_engine_is_asked(
    no_engine: None,
) -> None:
    assert "'FOO' is used by no stage" in str(run("--build-arg", "FOO=1").exception)
    assert "FOO" not in str(run("--build-arg", "MAX_JOBS=1").exception)
